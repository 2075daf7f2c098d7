//! Macro that declares ports: the interfaces through which the service uses storage. Each method is
//! one transaction, named after its use case.

/// Declares a port as a trait, and a macro that passes the list of its methods to another macro.
///
/// Decorators that wrap every method in the same way, such as the fault injection of the model
/// test, are generated from that list, so they need no edit for a new method.
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
