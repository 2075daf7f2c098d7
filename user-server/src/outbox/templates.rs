//! What the mails say. The code stands alone on its line, so that it is easy to read and to copy.

use std::time::Duration;

use crate::domain::{ClaimedMail, Mail, MailKind, Notice, Purpose};

/// The mail of a claimed row.
pub(super) fn render(claimed: &ClaimedMail, code: Option<String>, life: Duration) -> Mail {
    let text = text(&claimed.kind, life);
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

struct Text {
    subject: &'static str,
    first: String,
    second: String,
}

fn text(kind: &MailKind, life: Duration) -> Text {
    let minutes = life.as_secs().div_ceil(60);
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    let (subject, first, second): (_, &str, String) = match kind {
        MailKind::Code { purpose: Purpose::Registration, .. } => (
            "Your code to finish your registration",
            "this is the code that finishes your registration:",
            format!("It is good for {minutes} {unit} and can be used once. If you did not register, ignore this mail: nothing happens without the code."),
        ),
        MailKind::Code { purpose: Purpose::EmailChange, .. } => (
            "Your code to confirm your new email address",
            "this is the code that makes this address the one of your account:",
            format!("It is good for {minutes} {unit} and can be used once. If you did not ask for it, ignore this mail: nothing changes without the code."),
        ),
        MailKind::Code { purpose: Purpose::PasswordReset, .. } => (
            "Your code to set a new password",
            "this is the code that sets a new password:",
            format!("It is good for {minutes} {unit} and can be used once. If you did not ask for it, ignore this mail: your password stays as it is. Never give the code to anybody."),
        ),
        MailKind::Notice(Notice::AlreadyRegistered) => (
            "You already have an account",
            "somebody, perhaps you, tried to register with this email address, which has an account already.",
            "If it was you, log in, or reset your password if you have forgotten it. If it was not, you need do nothing: your account is as it was.".to_owned(),
        ),
        MailKind::Notice(Notice::EmailChanged) => (
            "Your email address was changed",
            "the email address of your account was changed, and this is no longer it.",
            "If it was not you who changed it, somebody knows your password: contact support at once.".to_owned(),
        ),
        MailKind::Notice(Notice::PasswordChanged) => (
            "Your password was changed",
            "the password of your account was changed, and every other session was ended.",
            "If it was not you who changed it, reset your password now.".to_owned(),
        ),
        MailKind::Notice(Notice::PasswordReset) => (
            "Your password was reset",
            "the password of your account was reset with a code that was mailed to this address, and every session was ended.",
            "If it was not you, somebody reads your mail: change its password first, then reset this one again.".to_owned(),
        ),
        MailKind::Notice(Notice::Deleted) => (
            "Your account was deleted",
            "your account and everything that belongs to it were deleted.",
            "If it was not you who deleted it, somebody knew your password: change it wherever else you use it.".to_owned(),
        ),
    };
    Text { subject, first: first.to_owned(), second }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Recipient, Timestamp};

    #[test]
    fn a_name_can_not_write_html() {
        let claimed = ClaimedMail {
            id: uuid::Uuid::nil(),
            created_at: Timestamp(0),
            attempt: 1,
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
