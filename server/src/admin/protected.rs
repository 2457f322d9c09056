//! Commands that only some may run, as `enable-debug-command` and `enable-module-command` say.

use cairn_engine::base::error::{Error, Outcome};
use cairn_engine::call::Ctx;

use super::config::is_local;
use crate::config::choice::Permission;
use crate::config::directive::Key;
use crate::front::access;

/// Refuses a command of this name to clients that the directive does not allow it to.
pub(super) fn protected(cx: &mut Ctx, directive: Key<Permission>, name: &str) -> Outcome {
    let permission = access::settings(&mut *cx.inst).config.get(directive);
    let allowed = match permission {
        Permission::Yes => true,
        Permission::No => false,
        Permission::Local => is_local(cx),
    };
    match allowed {
        true => Ok(()),
        false => Err(Error::text(format!(
            "ERR {name} command not allowed. If the {} option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
            directive.directive().name
        ))),
    }
}
