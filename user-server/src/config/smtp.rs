//! The server that mails go to, as the environment names it.

use crate::mail::{Sender, SmtpAuthorities, SmtpServer, TlsMode};

use super::vars::Reader;

/// The server, where one is named. What is wrong with it is noted with the other faults.
pub(super) fn read(vars: &mut Reader<'_>) -> Option<SmtpServer> {
    let chosen = match vars.choice("SMTP_TLS", &["auto", "starttls", "implicit", "none"]) {
        1 => Some(TlsMode::StartTls),
        2 => Some(TlsMode::Implicit),
        3 => Some(TlsMode::None),
        _ => None,
    };
    let port = vars.number("SMTP_PORT", default_port(chosen), 1, 65_535);
    let (user, password) = (vars.optional("SMTP_USER"), vars.optional("SMTP_PASSWORD"));
    let ca = vars.optional("SMTP_CA");
    let Some(host) = vars.optional("SMTP_HOST") else {
        for name in ["SMTP_PORT", "SMTP_TLS", "SMTP_USER", "SMTP_PASSWORD", "SMTP_CA"] {
            vars.refuse(
                name,
                "it says how to reach a server that is not named",
                "Set SMTP_HOST, or unset this.",
            );
        }
        return None;
    };
    let mode = chosen.unwrap_or(if port == 465 { TlsMode::Implicit } else { TlsMode::StartTls });

    check_host(vars, &host, mode);
    check_login(vars, user.is_some(), vars.is_given("SMTP_PASSWORD"), mode);
    check_sender(vars);
    vars.refuse(
        "MAIL_DIR",
        "mails go to a folder or to SMTP_HOST, and both are named",
        "Unset MAIL_DIR to send mails, or SMTP_HOST to keep them in the folder.",
    );
    let authorities = ca.and_then(|path| authorities(vars, &path, mode));
    let port = u16::try_from(port).unwrap_or_default();
    let server = match SmtpServer::new(&host, port, mode, authorities.as_ref()) {
        Ok(server) => server,
        Err(error) => {
            vars.fault("SMTP_CA", format!("it can not be trusted: {error}"), CA_MEND.to_owned());
            return None;
        }
    };
    Some(match (user, password) {
        (Some(user), Some(password)) => server.with_login(user, password),
        _ => server,
    })
}

const CA_MEND: &str =
    "Name a file with the authority's certificate in PEM (-----BEGIN CERTIFICATE-----).";

fn default_port(mode: Option<TlsMode>) -> u64 {
    match mode {
        Some(TlsMode::Implicit) => 465,
        Some(TlsMode::None) => 25,
        Some(TlsMode::StartTls) | None => 587,
    }
}

fn check_host(vars: &mut Reader<'_>, host: &str, mode: TlsMode) {
    if !SmtpServer::is_host(host) {
        let mend = "Set it to a name or an address alone, such as mail.domain.example; the port goes to SMTP_PORT.";
        vars.fault("SMTP_HOST", format!("`{host}` is no host"), mend.to_owned());
    } else if mode == TlsMode::None && !SmtpServer::is_loopback(host) {
        vars.fault(
            "SMTP_TLS",
            format!("codes would cross the network to {host} unencrypted"),
            "Set it to starttls or implicit; none is for localhost, 127.0.0.1 and ::1.".to_owned(),
        );
    }
}

fn check_login(vars: &mut Reader<'_>, user: bool, password: bool, mode: TlsMode) {
    if user != password {
        let (missing, there) =
            if user { ("SMTP_PASSWORD", "SMTP_USER") } else { ("SMTP_USER", "SMTP_PASSWORD") };
        vars.fault(
            missing,
            format!("it is missing, and {there} is set"),
            "Set both, or neither.".to_owned(),
        );
    }
    if user && mode == TlsMode::None {
        vars.fault(
            "SMTP_USER",
            "a password never goes over a connection without TLS".to_owned(),
            "Set SMTP_TLS to starttls or implicit, or unset SMTP_USER and SMTP_PASSWORD."
                .to_owned(),
        );
    }
}

fn check_sender(vars: &mut Reader<'_>) {
    let mend =
        "Set it to an address that the server sends for, such as `Name <name@domain.example>`.";
    match vars.optional("MAIL_FROM") {
        None => vars.fault(
            "MAIL_FROM",
            "it is missing, and SMTP_HOST is set".to_owned(),
            mend.to_owned(),
        ),
        Some(text) if Sender::parse(&text).is_ok_and(|sender| !sender.is_ascii()) => {
            vars.fault(
                "MAIL_FROM",
                format!("the address of `{text}` goes beyond ASCII"),
                mend.to_owned(),
            );
        }
        Some(_) => {}
    }
}

fn authorities(vars: &mut Reader<'_>, path: &str, mode: TlsMode) -> Option<SmtpAuthorities> {
    if mode == TlsMode::None {
        let wrong = "no certificate is looked at with SMTP_TLS=none".to_owned();
        vars.fault("SMTP_CA", wrong, "Unset one of them.".to_owned());
        return None;
    }
    let read = std::fs::read(path)
        .map_err(|error| error.to_string())
        .and_then(|pem| SmtpAuthorities::parse(&pem));
    match read {
        Ok(authorities) => Some(authorities),
        Err(error) => {
            vars.fault("SMTP_CA", format!("`{path}` can not be used: {error}"), CA_MEND.to_owned());
            None
        }
    }
}
