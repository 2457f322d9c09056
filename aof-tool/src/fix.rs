//! `aof-tool check --fix`: cut the last file of a log where its valid part ends; or, where nothing is to be cut, put CRLF behind
//! arguments that have other bytes there.
//!
//! The order is what keeps the data: the file as it was is first copied to `<name>.bak`, fsynced and
//! renamed into place; only then is the file itself changed, in place, so that its owner and links stay.

use crate::log::{File, Role};
use crate::report::Report;
use cairn_format::aof::extent::Cure;
use cairn_format::aof::reader::StreamReader;
use cairn_toolkit::human::{count, plural};
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, note};
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Cut what can be cut; all damage of the log must be of that sort.
pub fn run(broken: &[(&File, Report)]) -> Outcome {
    let refused = broken
        .iter()
        .find_map(|(_, report)| refusal(report).map(|reason| (report, reason)));
    if let Some((report, reason)) = refused {
        return Err(
            Failure::new(format!("{}: not cut: {reason}", report.name)).hint("nothing was changed")
        );
    }
    for (file, report) in broken {
        cut(&file.path, report)?;
    }
    Ok(Verdict::Fine)
}

/// Why this damage is not cut off, if it is not.
pub fn refusal(report: &Report) -> Option<&'static str> {
    let end = report.extent.valid_end;
    match report.extent.cure {
        _ if !report.is_last => {
            Some("it is not the last file of the log, so what follows builds on what would be cut")
        }
        None if report.preamble.is_none() && end == 0 && report.size.is_some() => {
            Some("the damage is in the snapshot, which holds the data as a whole")
        }
        None => Some("this damage is not one of the log's end"),
        Some(Cure::Edit) => Some("the file is whole, one command in it is wrong"),
        Some(Cure::Cut | Cure::CutLoses) if report.size.is_none() => Some("it is no regular file"),
        Some(Cure::Cut | Cure::CutLoses) if report.role == Role::Base => {
            Some("it is the base of the log")
        }
        Some(Cure::Cut | Cure::CutLoses) if end == 0 => {
            Some("nothing before the damage is valid, and 0 bytes would remain")
        }
        Some(Cure::Cut | Cure::CutLoses) => None,
    }
}

fn cut(path: &Path, report: &Report) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(&report.name, &error);
    let backup = back_up(path, &report.name, report.size)?;
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if Some(size) != report.size {
        return Err(changed(&report.name));
    }
    file.set_len(report.extent.valid_end)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    let removed = count(size - report.extent.valid_end);
    let left = count(report.extent.valid_end);
    note(&format!(
        "{}: cut to {left} bytes, {removed} bytes removed; the uncut file is {}",
        report.name,
        backup.display()
    ));
    Ok(())
}

/// Puts CRLF behind all arguments of these files, which are valid.
pub fn put_ends_right(loose: &[(&File, Report)]) -> Outcome {
    for (file, report) in loose {
        overwrite_ends(&file.path, report)?;
    }
    Ok(Verdict::Fine)
}

fn overwrite_ends(path: &Path, report: &Report) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(&report.name, &error);
    let backup = back_up(path, &report.name, report.size)?;
    let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    if Some(file.metadata().map_err(failed)?.len()) != report.size {
        return Err(changed(&report.name));
    }
    // Read from the copy, as what is read must not change meanwhile.
    let mut source = fs::File::open(&backup).map_err(failed)?;
    let begin = report.preamble.map_or(0, |preamble| preamble.end);
    source.seek(SeekFrom::Start(begin)).map_err(failed)?;
    let mut reader = StreamReader::new(source, begin);
    let mut ends = 0;
    while let Some(item) = reader
        .next_item()
        .map_err(|error| Failure::damage(&report.name, &error))?
    {
        for at in item.loose_ends() {
            file.seek(SeekFrom::Start(at)).map_err(failed)?;
            file.write_all(b"\r\n").map_err(failed)?;
            ends += 1;
        }
    }
    file.sync_all().map_err(failed)?;
    note(&format!(
        "{}: {} put right; the file as it was is {}",
        report.name,
        plural(ends, "line end", "line ends"),
        backup.display()
    ));
    Ok(())
}

/// Keeps a file that another will replace under its name: by a second name, or where there is none to be had by a copy. Gives the
/// name of that.
pub fn set_aside(path: &Path, name: &str, size: u64) -> Result<PathBuf, Failure> {
    let backup = backup_name(path);
    refuse_backup(&backup, name)?;
    let real = fs::canonicalize(path).map_err(|error| Failure::io(name, &error))?;
    let is_same = fs::metadata(&real).is_ok_and(|metadata| metadata.len() == size);
    match is_same && fs::hard_link(&real, &backup).is_ok() {
        true => Ok(backup),
        false => back_up(path, name, Some(size)),
    }
}

fn refuse_backup(backup: &Path, name: &str) -> Result<(), Failure> {
    match backup.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(Failure::new(format!(
            "{name}: not changed: the backup {} exists already",
            backup.display()
        ))
        .hint("move it away; it may be the only whole copy")),
    }
}

/// Copy the file, which must still have the `size` that was looked at, to its backup, and give the name of that.
fn back_up(path: &Path, name: &str, size: Option<u64>) -> Result<PathBuf, Failure> {
    let backup = backup_name(path);
    refuse_backup(&backup, name)?;
    // The input is a map, which must be gone before the file is cut.
    let input = Input::open(path)?;
    let bytes = input.bytes().unwrap_or_default();
    if Some(bytes.len() as u64) != size {
        return Err(changed(name));
    }
    let mut output = Output::create(&backup, &[&input])?;
    copy(&input, 0..bytes.len(), &mut output)?;
    output.finish()?;
    let kept = fs::metadata(path)
        .and_then(|metadata| fs::set_permissions(&backup, metadata.permissions()));
    kept.map_err(|error| Failure::io(&backup.display().to_string(), &error))?;
    Ok(backup)
}

/// Writes a part of a mapped input, and keeps none of it in memory.
pub fn copy(input: &Input, part: Range<usize>, out: &mut impl Write) -> Result<(), Failure> {
    /// Bytes between two looks at what may leave memory.
    const STEP: usize = 1 << 20;
    let bytes = input.bytes().unwrap_or_default();
    let mut at = part.start;
    for piece in bytes.get(part).unwrap_or_default().chunks(STEP) {
        out.write_all(piece)?;
        at += piece.len();
        input.passed(at as u64);
    }
    Ok(())
}

fn changed(name: &str) -> Failure {
    Failure::new(format!(
        "{name}: not changed: somebody else did while it was checked"
    ))
    .hint("stop the server that writes it")
}

fn backup_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".bak");
    PathBuf::from(name)
}
