//! `tidegate export`: a model for other programs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde_json::json;
use train::model_file;

use crate::args::{Common, Export};
use crate::failure::usage;
use crate::output::{bytes, count, print, print_json};
use crate::settings::Settings;
use crate::target::{self, Target};

/// What the model is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Onnx,
    Safetensors,
}

const NAMES: [(Format, &str); 2] = [(Format::Onnx, "onnx"), (Format::Safetensors, "safetensors")];

pub(crate) fn run(common: &Common, args: &Export) -> Result<()> {
    let settings = Settings::load(common, None)?;
    settings.announce()?;
    let out = args.out.as_ref().or(settings.out.as_ref());
    let out = out.ok_or_else(|| usage("--out FILE is missing: name the file to write"))?;
    let format = format(args.format.as_ref().or(settings.export.format.as_ref()), out)?;
    let items = args.items.as_ref().or(settings.export.items.as_ref());
    if items == Some(out) {
        return Err(usage("--items and --out name the same file"));
    }
    let file = model_file(&args.model)?;
    let read = [&[target::model_file(&args.model)], common.config.as_slice()].concat();
    let mut target = Target::create("--out", out, &read)?;
    let list = items.map(|path| write_ids(path, &file.vocabulary().names, &read)).transpose()?;
    let contents = match format {
        Format::Onnx => file.to_onnx(items.is_none())?,
        Format::Safetensors => file.to_state_dict(items.is_none())?,
    };
    target.write_all(&contents).map_err(|error| target.refuse(&error))?;
    target.finish()?;
    list.map(Target::finish).transpose()?;

    let name = NAMES.iter().find(|(other, _)| *other == format).map_or("", |(_, name)| name);
    let number = file.vocabulary().names.len();
    if settings.json {
        let opset = (format == Format::Onnx).then_some(model::OPSET);
        return print_json(&json!({
            "file": out.display().to_string(),
            "format": name,
            "opset": opset,
            "items": number,
            "bytes": contents.len(),
            "items_file": items,
        }));
    }
    let version =
        if format == Format::Onnx { format!(" opset {}", model::OPSET) } else { String::new() };
    let mut text = format!(
        "  {name}{version}, {}, {} items, {}\n  {}\n",
        file.config().cell,
        count(number),
        bytes(contents.len() as u64),
        out.display()
    );
    if let Some(items) = items {
        text += &format!("  {}\n", items.display());
    }
    print(&text)
}

/// The format that is asked for, or that the file's name tells.
fn format(asked: Option<&String>, out: &Path) -> Result<Format> {
    let name = match asked {
        Some(name) => name.as_str(),
        None => out.extension().and_then(|extension| extension.to_str()).unwrap_or_default(),
    };
    match NAMES.iter().find(|(_, known)| *known == name) {
        Some((format, _)) => Ok(*format),
        None if asked.is_some() => {
            Err(usage(format!("--format {name:?}: expected onnx or safetensors")))
        }
        None => Err(usage(format!(
            "--out {}: its name tells no format; end it in .onnx or .safetensors, or give --format",
            out.display()
        ))),
    }
}

/// Begins a file with an id a line.
fn write_ids(path: &Path, names: &[String], read: &[PathBuf]) -> Result<Target> {
    let broken = |name: &&String| name.contains(['\n', '\r']) || name.is_empty();
    if let Some(name) = names.iter().find(broken) {
        return Err(anyhow!(
            "--items {}: the id {name:?} cannot stand on a line of its own; leave the flag out, and \
             the ids go into the file itself",
            path.display()
        ));
    }
    let mut target = Target::create("--items", path, read)?;
    for name in names {
        writeln!(target, "{name}").map_err(|error| target.refuse(&error))?;
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_asked_for_or_told_by_the_name() {
        let of = |asked: &str, out: &str| {
            let asked = (!asked.is_empty()).then(|| asked.to_owned());
            format(asked.as_ref(), Path::new(out)).map_err(|error| error.to_string())
        };
        assert_eq!(of("", "a/b.onnx"), Ok(Format::Onnx));
        assert_eq!(of("", "b.safetensors"), Ok(Format::Safetensors));
        assert_eq!(of("safetensors", "b.onnx"), Ok(Format::Safetensors));
        assert!(of("", "b").unwrap_err().contains("tells no format"));
        assert!(of("pt", "b.onnx").unwrap_err().contains("expected onnx"));
    }
}
