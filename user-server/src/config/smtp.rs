//! Settings of the mail server.

use crate::mail::{Sender, SmtpAuthorities, SmtpServer, TlsMode};

use super::reader::Reader;

const CA_HINT: &str = "Set SMTP_CA to a PEM file with the certificate of the server's authority.";
pub(super) const SENDER_HINT: &str =
    "Set MAIL_FROM to an address that the mail server sends for, or to `Name <address>`.";

/// Reads the options of the mail server. Returns `None` if none is set.
pub(super) fn read(vars: &mut Reader<'_>) -> Option<SmtpServer> {
    let chosen = match vars.choice("SMTP_TLS", &["auto", "starttls", "implicit", "none"]) {
        1 => Some(TlsMode::StartTls),
        2 => Some(TlsMode::Implicit),
        3 => Some(TlsMode::None),
        _ => None,
    };
    let port = vars.number("SMTP_PORT", default_port(chosen), 1, 65_535);
    let (user, password) = (vars.optional("SMTP_USER"), vars.optional("SMTP_PASSWORD"));
    let (ca, helo) = (vars.optional("SMTP_CA"), vars.optional("SMTP_HELO"));
    let Some(host) = vars.optional("SMTP_HOST") else {
        for name in ["SMTP_PORT", "SMTP_TLS", "SMTP_USER", "SMTP_PASSWORD", "SMTP_CA", "SMTP_HELO"]
        {
            vars.reject_without(name, "SMTP_HOST");
        }
        return None;
    };
    // Other programs write an IPv6 address in brackets, as in a URL.
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bare.map_or_else(|| host.clone(), ToOwned::to_owned);
    let mode = chosen.unwrap_or(if port == 465 { TlsMode::Implicit } else { TlsMode::StartTls });

    check_host(vars, &host, mode);
    check_login(vars, user.is_some(), vars.is_given("SMTP_PASSWORD"), mode);
    check_sender(vars);
    if vars.is_given("MAIL_DIR") {
        vars.error(
            "MAIL_DIR",
            "MAIL_DIR and SMTP_HOST are both set: emails have only one destination",
            "Unset MAIL_DIR to send emails, or unset SMTP_HOST to write them to the folder.",
        );
    }
    let authorities = ca.and_then(|path| authorities(vars, &path, mode));
    let port = u16::try_from(port).unwrap_or_default();
    let server = match SmtpServer::new(&host, port, mode, authorities.as_ref()) {
        Ok(server) => server,
        Err(error) => {
            vars.error("SMTP_CA", format!("cannot use SMTP_CA: {error}"), CA_HINT);
            return None;
        }
    };
    let server = match helo {
        None => server,
        Some(name) => server.with_helo(&name).or_else(|| {
            vars.invalid(
                "SMTP_HELO",
                &name,
                "expected a host name with a domain, or an IP address",
                "Set SMTP_HELO to the name that the DNS has for the address that emails come from, \
                 such as users.domain.example.",
            );
            None
        })?,
    };
    Some(match (user, password) {
        (Some(user), Some(password)) => server.with_login(user, password),
        _ => server,
    })
}

fn default_port(mode: Option<TlsMode>) -> u64 {
    match mode {
        Some(TlsMode::Implicit) => 465,
        Some(TlsMode::None) => 25,
        Some(TlsMode::StartTls) | None => 587,
    }
}

fn check_host(vars: &mut Reader<'_>, host: &str, mode: TlsMode) {
    if !SmtpServer::is_host(host) {
        vars.invalid(
            "SMTP_HOST",
            host,
            "expected a host name or an IP address",
            "Set SMTP_HOST to a name or an address only, such as mail.domain.example, and \
             SMTP_PORT to the port.",
        );
    } else if mode == TlsMode::None && !SmtpServer::is_loopback(host) {
        vars.invalid(
            "SMTP_TLS",
            "none",
            &format!("codes would cross the network to {host} in plaintext"),
            "Set SMTP_TLS to starttls or implicit. The value none is for localhost, 127.0.0.1 and \
             ::1 only.",
        );
    }
}

fn check_login(vars: &mut Reader<'_>, user: bool, password: bool, mode: TlsMode) {
    if user != password {
        let (missing, given) =
            if user { ("SMTP_PASSWORD", "SMTP_USER") } else { ("SMTP_USER", "SMTP_PASSWORD") };
        vars.error(
            missing,
            format!("{missing} is not set, but {given} is"),
            "Set both variables, or neither.",
        );
    }
    if user && mode == TlsMode::None {
        vars.error(
            "SMTP_USER",
            "SMTP_USER requires TLS: a password is never sent in plaintext",
            "Set SMTP_TLS to starttls or implicit, or unset SMTP_USER and SMTP_PASSWORD.",
        );
    }
}

fn check_sender(vars: &mut Reader<'_>) {
    match vars.optional("MAIL_FROM") {
        None => vars.error("MAIL_FROM", "MAIL_FROM is not set, but SMTP_HOST is", SENDER_HINT),
        Some(text) if Sender::parse(&text).is_ok_and(|sender| !sender.is_ascii()) => {
            vars.invalid("MAIL_FROM", &text, "expected an address in ASCII", SENDER_HINT);
        }
        Some(_) => {}
    }
}

fn authorities(vars: &mut Reader<'_>, path: &str, mode: TlsMode) -> Option<SmtpAuthorities> {
    if mode == TlsMode::None {
        vars.error(
            "SMTP_CA",
            "SMTP_CA has no effect with SMTP_TLS=none",
            "Unset SMTP_CA, or change SMTP_TLS.",
        );
        return None;
    }
    let read = std::fs::read(path)
        .map_err(|error| error.to_string())
        .and_then(|pem| SmtpAuthorities::parse(&pem));
    match read {
        Ok(authorities) => Some(authorities),
        Err(error) => {
            vars.invalid("SMTP_CA", path, &error, CA_HINT);
            None
        }
    }
}
