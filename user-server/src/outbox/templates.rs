//! Email templates. A code is on its own line, so that it is easy to read and to copy.

use std::time::Duration;

use crate::domain::{ClaimedMail, Mail, MailKind, Notice, Purpose};

/// Renders a claimed email as plain text and HTML. `code` is the one-time code, if the email
/// contains one, and `life` is its lifetime.
pub(super) fn render(claimed: &ClaimedMail, code: Option<String>, life: Duration) -> Mail {
    let text = template(&claimed.kind, life);
    let greeting = if claimed.recipient.username.is_empty() {
        "Hello,".to_owned()
    } else {
        format!("Hello {},", claimed.recipient.username)
    };
    let plain = match &code {
        Some(code) => format!("{greeting}\n\n{}\n\n    {code}\n\n{}\n", text.first, text.second),
        None => format!("{greeting}\n\n{}\n\n{}\n", text.first, text.second),
    };
    let block = code.as_ref().map_or_else(String::new, |code| {
        format!(
            "<p style=\"font:600 28px/1.6 monospace;letter-spacing:3px;user-select:all\">{}</p>\n",
            escape(code)
        )
    });
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
         <body style=\"font:16px/1.5 sans-serif;max-width:34em;margin:2em auto;padding:0 1em\">\n\
         <p>{greeting}</p>\n<p>{first}</p>\n{block}<p>{second}</p>\n</body></html>\n",
        title = escape(text.subject),
        greeting = escape(&greeting),
        first = escape(&text.first),
        second = escape(&text.second),
    );
    let subject = text.subject.to_owned();
    Mail {
        id: claimed.id,
        created_at: claimed.created_at,
        to: claimed.recipient.mailbox.clone(),
        subject,
        text: plain,
        html,
        code,
    }
}

/// Subject and paragraphs of one kind of email.
struct Template {
    subject: &'static str,
    /// Paragraph before the one-time code.
    first: String,
    /// Paragraph after the one-time code.
    second: String,
}

fn template(kind: &MailKind, life: Duration) -> Template {
    let minutes = life.as_secs().div_ceil(60);
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    let (subject, first, second): (_, &str, String) = match kind {
        MailKind::Code { purpose: Purpose::Registration, .. } => (
            "Your code to complete the registration",
            "this is the code that completes your registration:",
            format!("It is valid for {minutes} {unit} and can be used once. If you did not register, ignore this email: nothing happens without the code."),
        ),
        MailKind::Code { purpose: Purpose::EmailChange, .. } => (
            "Your code to confirm your new email address",
            "this is the code that confirms this address as the new email address of your account:",
            format!("It is valid for {minutes} {unit} and can be used once. If you did not request it, ignore this email: nothing changes without the code."),
        ),
        MailKind::Code { purpose: Purpose::PasswordReset, .. } => (
            "Your code to set a new password",
            "this is the code that sets a new password:",
            format!("It is valid for {minutes} {unit} and can be used once. If you did not request it, ignore this email: your password remains unchanged. Never share the code with anyone."),
        ),
        MailKind::Notice(Notice::AlreadyRegistered) => (
            "You already have an account",
            "someone, perhaps you, tried to register with this email address, which already has an account.",
            "If it was you, log in, or reset your password if you have forgotten it. If it was not you, no action is needed: your account has not changed.".to_owned(),
        ),
        MailKind::Notice(Notice::EmailChanged) => (
            "Your email address was changed",
            "the email address of your account was changed. This address no longer belongs to it.",
            "If you did not change it, someone knows your password: contact support immediately.".to_owned(),
        ),
        MailKind::Notice(Notice::PasswordChanged) => (
            "Your password was changed",
            "the password of your account was changed, and every other session was ended.",
            "If you did not change it, reset your password now.".to_owned(),
        ),
        MailKind::Notice(Notice::PasswordReset) => (
            "Your password was reset",
            "the password of your account was reset with a code that was sent to this address, and every session was ended.",
            "If it was not you, someone has access to your email account: change its password first, then reset this one again.".to_owned(),
        ),
        MailKind::Notice(Notice::Deleted) => (
            "Your account was deleted",
            "your account and everything that belongs to it were deleted.",
            "If you did not delete it, someone knew your password: change it wherever else you use it.".to_owned(),
        ),
    };
    Template { subject, first: first.to_owned(), second }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Recipient, Timestamp};

    #[test]
    fn a_username_is_escaped_in_html() {
        let claimed = ClaimedMail {
            id: uuid::Uuid::nil(),
            created_at: Timestamp(0),
            attempt: 1,
            unexplained: false,
            recipient: Recipient {
                mailbox: "ada@engine.example".to_owned(),
                username: "<b>ada</b>&\"".to_owned(),
            },
            kind: MailKind::Notice(Notice::Deleted),
        };
        let mail = render(&claimed, None, Duration::from_secs(900));
        assert!(mail.html.contains("Hello &lt;b&gt;ada&lt;/b&gt;&amp;&quot;,"), "{}", mail.html);
    }
}
