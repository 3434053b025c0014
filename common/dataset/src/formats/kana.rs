//! Names of hiragana that any font can show.
//!
//! `class_names` calls it for the maps of the Kuzushiji sets.

/// The 49 characters of Kuzushiji-49, in Hepburn's spelling but for `wi`, `we` and `wo`, which are told apart.
const SYLLABLES: [(char, &str); 49] = [
    ('あ', "a"),
    ('い', "i"),
    ('う', "u"),
    ('え', "e"),
    ('お', "o"),
    ('か', "ka"),
    ('き', "ki"),
    ('く', "ku"),
    ('け', "ke"),
    ('こ', "ko"),
    ('さ', "sa"),
    ('し', "shi"),
    ('す', "su"),
    ('せ', "se"),
    ('そ', "so"),
    ('た', "ta"),
    ('ち', "chi"),
    ('つ', "tsu"),
    ('て', "te"),
    ('と', "to"),
    ('な', "na"),
    ('に', "ni"),
    ('ぬ', "nu"),
    ('ね', "ne"),
    ('の', "no"),
    ('は', "ha"),
    ('ひ', "hi"),
    ('ふ', "fu"),
    ('へ', "he"),
    ('ほ', "ho"),
    ('ま', "ma"),
    ('み', "mi"),
    ('む', "mu"),
    ('め', "me"),
    ('も', "mo"),
    ('や', "ya"),
    ('ゆ', "yu"),
    ('よ', "yo"),
    ('ら', "ra"),
    ('り', "ri"),
    ('る', "ru"),
    ('れ', "re"),
    ('ろ', "ro"),
    ('わ', "wa"),
    ('ゐ', "wi"),
    ('ゑ', "we"),
    ('を', "wo"),
    ('ん', "n"),
    ('ゝ', "iteration mark"),
];

/// A character as it is spelt, or its code point.
pub fn name(character: char) -> String {
    match SYLLABLES.iter().find(|(kana, _)| *kana == character) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("U+{:04X}", u32::from(character)),
    }
}
