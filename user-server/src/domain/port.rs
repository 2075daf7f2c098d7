//! The declaration of a port: what a service needs of storage. A method is one transaction, named
//! for its use case.

/// Declares a port as a trait, and a macro that passes the list of its methods to another macro.
///
/// A decorator that does the same around every method, such as the fault injection of the model
/// test, is generated from that list, so a new method needs no edit there.
macro_rules! port {
    (
        ($d:tt) $(#[$doc:meta])* $port:ident, $list:ident {
            $(
                $(#[$method_doc:meta])*
                fn $method:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty;
            )*
        }
    ) => {
        $(#[$doc])*
        #[async_trait::async_trait]
        pub trait $port: Send + Sync {
            $(
                $(#[$method_doc])*
                async fn $method(&self, $($arg: $type),*) -> Result<$result, $crate::domain::Fault>;
            )*
        }

        #[doc(hidden)]
        #[macro_export]
        macro_rules! $list {
            ($d callback:ident) => {
                $d callback! { $port { $(fn $method($($arg: $type),*) -> $result;)* } }
            };
        }
    };
}
