//! Enums whose variants are written as one word each.

/// A word that names no variant of an enum; see [`Kernel`](crate::Kernel) and [`Pooling`](crate::Pooling).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not one of {}", .accepted.join(", "))]
pub struct UnknownWord {
    /// The rejected word.
    pub word: String,
    /// All words that the enum accepts.
    pub accepted: &'static [&'static str],
}

/// Declares an enum with one word for each variant, `Display`, and a `FromStr` whose error lists the accepted words.
macro_rules! word_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident { $($(#[$variant_attribute:meta])* $variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_attribute])* $variant),+
        }

        impl $name {
            /// The word for this variant, which `FromStr` accepts.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok($name::$variant),)+
                    _ => Err($crate::words::UnknownWord {
                        word: word.to_owned(),
                        accepted: &[$($word),+],
                    }),
                }
            }
        }
    };
}
pub(crate) use word_enum;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernel, Pooling};

    #[test]
    fn every_kernel_is_parsed_from_its_name() {
        for kernel in Kernel::available() {
            assert_eq!(kernel.to_string().parse(), Ok(kernel));
        }
    }

    #[test]
    fn the_error_for_an_unknown_word_lists_the_accepted_words() {
        let error: UnknownWord = "max".parse::<Pooling>().unwrap_err();
        assert_eq!(error.to_string(), r#""max" is not one of mean, cls"#);
    }
}
