//! Source code: detects the language of a file, and provides the grammars that the chunker uses.

/// Languages by file extension.
const BY_EXTENSION: &[(&str, &[&str])] = &[
    ("rust", &["rs"]),
    ("python", &["py", "pyi", "pyw"]),
    ("javascript", &["js", "mjs", "cjs", "jsx"]),
    ("typescript", &["ts", "mts", "cts"]),
    ("tsx", &["tsx"]),
    ("go", &["go"]),
    ("java", &["java"]),
    ("c", &["c", "h"]),
    ("cpp", &["cc", "cpp", "cxx", "hh", "hpp", "hxx", "ipp"]),
    ("csharp", &["cs"]),
    ("ruby", &["rb", "rake", "gemspec"]),
    ("php", &["php"]),
    ("bash", &["sh", "bash", "zsh", "ksh"]),
    ("kotlin", &["kt", "kts"]),
    ("swift", &["swift"]),
    ("scala", &["scala", "sc"]),
    ("haskell", &["hs"]),
    ("ocaml", &["ml", "mli"]),
    ("elixir", &["ex", "exs"]),
    ("erlang", &["erl", "hrl"]),
    ("clojure", &["clj", "cljs", "cljc"]),
    ("lua", &["lua"]),
    ("perl", &["pl", "pm"]),
    ("r", &["r"]),
    ("julia", &["jl"]),
    ("dart", &["dart"]),
    ("zig", &["zig"]),
    ("nim", &["nim"]),
    ("fortran", &["f90", "f95", "f03"]),
    ("pascal", &["pas"]),
    ("fsharp", &["fs", "fsx"]),
    ("objective-c", &["m", "mm"]),
    ("lisp", &["lisp", "el", "scm"]),
    ("sql", &["sql"]),
    ("css", &["css", "scss", "less"]),
    ("vue", &["vue"]),
    ("svelte", &["svelte"]),
    ("protobuf", &["proto"]),
    ("graphql", &["graphql", "gql"]),
    ("terraform", &["tf"]),
    ("powershell", &["ps1", "psm1"]),
    ("batch", &["bat", "cmd"]),
    ("assembly", &["s", "asm"]),
    ("vimscript", &["vim"]),
    ("cmake", &["cmake"]),
];

/// Languages by file name.
const BY_NAME: &[(&str, &str)] = &[
    ("Makefile", "make"),
    ("Dockerfile", "dockerfile"),
    ("CMakeLists.txt", "cmake"),
    ("Rakefile", "ruby"),
    ("Gemfile", "ruby"),
];

/// Languages by the interpreter in a `#!` line.
const BY_INTERPRETER: &[(&str, &str)] = &[
    ("python", "python"),
    ("bash", "bash"),
    ("sh", "bash"),
    ("zsh", "bash"),
    ("node", "javascript"),
    ("ruby", "ruby"),
    ("perl", "perl"),
    ("php", "php"),
    ("lua", "lua"),
    ("Rscript", "r"),
];

/// The programming language of a file, or `None` if it is not code.
pub(super) fn language(filename: &str, extension: &str, text: &str) -> Option<&'static str> {
    if let Some((_, language)) = BY_NAME.iter().find(|(name, _)| *name == filename) {
        return Some(language);
    }
    if filename.contains('.') {
        let known = BY_EXTENSION
            .iter()
            .find(|(_, extensions)| extensions.contains(&extension));
        return known.map(|(language, _)| *language);
    }
    let line = text.strip_prefix("#!")?.lines().next()?;
    let program = line
        .split_whitespace()
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .find(|word| *word != "env")?;
    let bare = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    BY_INTERPRETER
        .iter()
        .find(|(name, _)| *name == bare)
        .map(|(_, language)| *language)
}

/// The grammar of a language, if the chunker can cut the language by its syntax.
pub(crate) fn grammar(language: &str) -> Option<tree_sitter::Language> {
    let grammar = match language {
        "rust" => tree_sitter_rust::LANGUAGE.into(),
        "python" => tree_sitter_python::LANGUAGE.into(),
        "javascript" => tree_sitter_javascript::LANGUAGE.into(),
        "typescript" => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        "tsx" => tree_sitter_typescript::LANGUAGE_TSX.into(),
        "go" => tree_sitter_go::LANGUAGE.into(),
        "java" => tree_sitter_java::LANGUAGE.into(),
        "c" => tree_sitter_c::LANGUAGE.into(),
        "cpp" => tree_sitter_cpp::LANGUAGE.into(),
        "csharp" => tree_sitter_c_sharp::LANGUAGE.into(),
        "ruby" => tree_sitter_ruby::LANGUAGE.into(),
        "php" => tree_sitter_php::LANGUAGE_PHP.into(),
        "bash" => tree_sitter_bash::LANGUAGE.into(),
        _ => return None,
    };
    Some(grammar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_detected_by_name_extension_and_interpreter() {
        assert_eq!(language("main.rs", "rs", ""), Some("rust"));
        assert_eq!(language("Makefile", "", "all:"), Some("make"));
        assert_eq!(language("run", "", "#!/usr/bin/env -S python3.11\n"), None);
        assert_eq!(language("run", "", "#!/usr/bin/env python3.11\n"), Some("python"));
        assert_eq!(language("run", "", "#!/bin/sh -e\n"), Some("bash"));
        assert_eq!(language("notes.txt", "txt", "#!/bin/sh"), None);
    }

    #[test]
    fn every_grammar_can_be_loaded() {
        for (language, _) in BY_EXTENSION {
            if let Some(grammar) = grammar(language) {
                tree_sitter::Parser::new()
                    .set_language(&grammar)
                    .unwrap_or_else(|error| panic!("{language}: {error}"));
            }
        }
    }
}
