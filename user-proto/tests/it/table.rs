//! The code that the table generates in addition to the codec: constructors, the macros over all
//! messages, and the structs that several replies share.

use user_proto::{
    EmailVerified, LoggedIn, LoggedOut, Logout, Message, PasswordReset, Pong, Reply, Request,
    SessionsEndedReply, TokenRefreshed,
};

use crate::samples::tokens;

macro_rules! names {
    ($($name:ident)*) => {
        [$((user_proto::$name::TYPE, stringify!($name))),*]
    };
}

#[test]
fn the_macros_over_all_messages_name_them_in_the_order_of_the_table() {
    assert_eq!(user_proto::for_each_request!(names).as_slice(), Request::ALL);
    assert_eq!(user_proto::for_each_reply!(names).as_slice(), Reply::ALL);
}

#[test]
fn replies_that_share_a_struct_are_messages_of_their_own() {
    let replies: [Reply<'_>; 3] = [
        tokens::<{ LoggedIn::TYPE }>().into(),
        tokens::<{ EmailVerified::TYPE }>().into(),
        tokens::<{ TokenRefreshed::TYPE }>().into(),
    ];
    let rows = replies.each_ref().map(Reply::row);
    assert_eq!(rows, [(0x82, "LoggedIn"), (0x86, "EmailVerified"), (0x88, "TokenRefreshed")]);
    for (reply, (_, name)) in replies.iter().zip(rows) {
        assert!(format!("{reply:?}").starts_with(&format!("{name}({name} {{ user_id: ")));
    }
}

#[test]
fn a_constructor_takes_the_required_fields() {
    let logout = Logout { token: "t".into(), all_sessions: None };
    assert_eq!(Logout::new("t".into()), logout);
    assert_eq!(Pong::new(), Pong { max_in_flight: None, idle_timeout: None, max_hashing: None });
    assert_eq!(LoggedOut::new(3), LoggedOut { sessions_ended: 3 });
}

#[test]
fn replies_that_share_a_struct_convert_in_one_implementation() {
    struct Ended(u32);
    impl<const TYPE: u8> From<Ended> for SessionsEndedReply<TYPE> {
        fn from(Ended(sessions_ended): Ended) -> Self {
            Self { sessions_ended }
        }
    }
    assert_eq!(LoggedOut::from(Ended(3)), LoggedOut { sessions_ended: 3 });
    assert_eq!(PasswordReset::from(Ended(2)), PasswordReset { sessions_ended: 2 });
}
