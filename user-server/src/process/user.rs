//! The user that runs the process.

/// Returns the name of the user that runs the process, or else its number.
#[cfg(unix)]
#[must_use]
pub fn user_name() -> String {
    let id = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(&users, id).map_or_else(|| format!("uid {id}"), ToOwned::to_owned)
}

#[cfg(not(unix))]
#[must_use]
pub fn user_name() -> String {
    "unnamed".to_owned()
}

/// Finds the name of a user in the format of /etc/passwd.
#[cfg(unix)]
fn name_of(users: &str, id: u32) -> Option<&str> {
    let is_user = |fields: &Vec<&str>| fields.get(2).is_some_and(|uid| uid.parse() == Ok(id));
    let found = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(is_user)?;
    found.first().copied().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn a_user_is_found_by_its_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(super::name_of(users, 0), Some("root"));
        assert_eq!(super::name_of(users, 1000), Some("ada"));
        assert_eq!(super::name_of(users, 1), None);
    }
}
