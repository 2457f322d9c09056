//! Users as they are configured: at start, and what CONFIG SET changes for all of them.

use cairn_engine::call::Shared;
use cairn_engine::users::Users;

use crate::config::choice::AclPubsubDefault;
use crate::config::{Config, table};
use crate::front::user_file;
use crate::log::Log;

/// Tells users what is configured for all of them.
pub fn configure_users(users: &mut Users, config: &Config) {
    let all_channels = config.get(table::ACL_PUBSUB_DEFAULT) == AclPubsubDefault::Allchannels;
    let kept = usize::try_from(config.get(table::ACLLOG_MAX_LEN)).unwrap_or(usize::MAX);
    users.configure(all_channels, kept);
}

/// The users of a start: `requirepass` first, then `user` lines or the file of users, so that these have the last word.
///
/// # Errors
/// The whole message, as it goes to the log.
pub fn define_users(shared: &mut Shared, config: &Config, log: &Log) -> Result<(), String> {
    configure_users(&mut shared.users, config);
    shared
        .users
        .require_password(config.get(table::REQUIREPASS));
    for line in config.users() {
        let words = line.words.iter().map(Vec::as_slice);
        let put = shared.users.put_line(&line.name, words, &shared.table);
        put.map_err(|(word, why)| line.error(&word, &why).to_string())?;
        let name = String::from_utf8_lossy(&line.name);
        let user = shared.users.find(&line.name);
        if let Some(user) = user.and_then(|id| shared.users.get(id))
            && !user.enabled
        {
            log.notice(format_args!("The user '{name}' is disabled (there is no 'on' modifier in the user description). Make sure this is not a configuration error."));
        }
    }
    let Some((name, text)) = user_file::read(config) else {
        return Ok(());
    };
    let aborting = |why: String| format!("Aborting Redis startup because of ACL errors: {why}");
    let text = text.map_err(aborting)?;
    let roll = shared.users.read_file(&text, &name, &shared.table);
    let roll = roll.map_err(aborting)?;
    shared.users.replace_all(roll, &shared.table);
    Ok(())
}
