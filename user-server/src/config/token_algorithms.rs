//! Settings of the algorithms of access tokens.

use super::reader::Reader;
use crate::keys::TokenAlgorithm;

const ALL: &str = "HS256, EdDSA, ES256";

/// Reads the algorithm that signs access tokens, and those that are accepted.
pub(super) fn read(vars: &mut Reader<'_>) -> (TokenAlgorithm, Vec<TokenAlgorithm>) {
    let signing = vars.parsed("TOKEN_SIGNING", "HS256", "HS256, EdDSA or ES256", None, parse);
    let expected = "names of algorithms, separated by commas";
    let accepted = vars.parsed("TOKEN_ACCEPT", ALL, expected, None, |text| {
        text.split(',').map(|name| parse(name.trim())).collect::<Result<Vec<_>, _>>()
    });
    let (Some(signing), Some(accepted)) = (signing, accepted) else {
        return (TokenAlgorithm::Hs256, Vec::new());
    };
    if !accepted.contains(&signing) {
        let text = vars.text("TOKEN_ACCEPT", ALL);
        let (reason, name) = ("expected a list with the value of TOKEN_SIGNING", signing.name());
        vars.invalid("TOKEN_ACCEPT", &text, reason, format!("Add {name}, which signs tokens."));
    }
    (signing, accepted)
}

fn parse(name: &str) -> Result<TokenAlgorithm, String> {
    let unknown = || format!("`{name}` is not HS256, EdDSA or ES256");
    TokenAlgorithm::parse(name).ok_or_else(unknown)
}
