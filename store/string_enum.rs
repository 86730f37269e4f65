//! Enums whose variants have a fixed string form.

/// A string that is not a variant of an enum made with [`string_enum!`](macro@crate::string_enum).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {what}; use one of {}", accepted.join(", "))]
pub struct UnknownVariant {
    /// Name of the enum in messages, such as `job state`.
    pub what: &'static str,
    /// The string that was parsed.
    pub found: String,
    /// The strings that parse.
    pub accepted: &'static [&'static str],
}

/// Defines an enum whose variants have a fixed string form, with `as_str`, `Display` and `FromStr`.
///
/// The literal before the braces names the enum in the error of `FromStr`.
///
/// ```
/// autorag_store::string_enum! {
///     /// A colour.
///     Colour "colour" {
///         /// As blood.
///         Red = "red",
///         /// As the sky.
///         Blue = "blue",
///     }
/// }
///
/// assert_eq!(Colour::Red.as_str(), "red");
/// assert_eq!(Colour::ALL, [Colour::Red, Colour::Blue]);
/// assert_eq!("blue".parse(), Ok(Colour::Blue));
/// let error = "green".parse::<Colour>().unwrap_err();
/// assert_eq!(error.to_string(), "\"green\" is not a colour; use one of red, blue");
/// ```
#[macro_export]
macro_rules! string_enum {
    (
        $(#[$doc:meta])*
        $name:ident $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl $name {
            /// All variants, in the order of their definition.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The string of each variant, in the order of their definition.
            pub const STRINGS: &'static [&'static str] = &[$($word),*];

            /// The string form, which [`FromStr`](std::str::FromStr) parses.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word),*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownVariant;

            fn from_str(string: &str) -> Result<$name, $crate::UnknownVariant> {
                match string {
                    $($word => Ok($name::$variant),)*
                    _ => Err($crate::UnknownVariant {
                        what: $what,
                        found: string.to_owned(),
                        accepted: $name::STRINGS,
                    }),
                }
            }
        }
    };
}
