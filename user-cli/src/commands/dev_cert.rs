use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::context::{Context, Needs, Run};
use crate::dev_cert::{Certified, issue};
use crate::failure::Failure;
use crate::output;
use crate::private_file;

/// Create certificates for a trial: an authority, a server and a client
///
/// The key of the authority is discarded, so no one can issue further certificates with it. For
/// production, use the certificates of your own authority.
#[derive(Args)]
#[command(after_long_help = "\
The directory then contains ca.pem, server.pem, server.key, client.pem and client.key. Existing
files are not replaced.

Examples:
  user-cli dev-cert certs
  user-cli dev-cert certs --name users.internal --name 10.0.0.7 --days 7
  TLS_CERT=certs/server.pem TLS_KEY=certs/server.key TLS_CLIENT_CA=certs/ca.pem user-server
  user-cli ping --ca certs/ca.pem --cert certs/client.pem --key certs/client.key")]
pub(crate) struct DevCert {
    /// Directory to write to; created if it does not exist
    directory: PathBuf,
    /// Host name or IP address of the server, besides localhost, 127.0.0.1 and ::1; may be repeated
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    name: Vec<String>,
    /// Name of the client, as a DNS name in its certificate
    #[arg(long, value_name = "NAME", default_value = "client.localhost", value_parser = host_name)]
    client_name: String,
    /// Days for which the certificates are valid
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=825))]
    days: u32,
}

/// Parses a host name, which may begin with a wildcard, or an IP address.
fn host_name(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_prefix("*.").unwrap_or(text);
    let valid = text.parse::<std::net::IpAddr>().is_ok()
        || name.len() <= 253 && name.split('.').all(is_label);
    if valid {
        Ok(text.to_owned())
    } else {
        Err("expected a host name of letters, digits, - and ., or an IP address".to_owned())
    }
}

impl Run for DevCert {
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        names.extend(self.name.iter().cloned());
        let issued = issue(&names, &self.client_name, self.days).map_err(|error| {
            Failure::usage(
                format!("cannot create the certificates: {error}"),
                "Pass host names or IP addresses with --name and --client-name.",
            )
        })?;
        let path = |name: &str| self.directory.join(name);
        let Certified { authority, server, client, .. } = &issued;
        let files = [
            (path("ca.pem"), authority.as_bytes()),
            (path("server.pem"), server.certificate.as_bytes()),
            (path("server.key"), server.key.as_bytes()),
            (path("client.pem"), client.certificate.as_bytes()),
            (path("client.key"), client.key.as_bytes()),
        ];
        if let Some((existing, _)) = files.iter().find(|(file, _)| file.exists()) {
            return Err(Failure::usage(
                format!("{} exists already", existing.display()),
                "Choose another directory, or delete the files of the last trial.",
            ));
        }
        let failed = |file: &Path, error: &std::io::Error| {
            Failure::usage(
                format!("cannot write {}: {error}", file.display()),
                "Choose a writable directory.",
            )
        };
        std::fs::create_dir_all(&self.directory)
            .map_err(|error| failed(&self.directory, &error))?;
        for (file, bytes) in &files {
            private_file::create(file, bytes).map_err(|error| failed(file, &error))?;
        }
        let show = |name: &str| path(name).display().to_string();
        if context.global.json {
            output::json(&json!({
                "ca": show("ca.pem"),
                "server_cert": show("server.pem"),
                "server_key": show("server.key"),
                "client_cert": show("client.pem"),
                "client_key": show("client.key"),
                "expires_at": crate::format::rfc_3339(issued.expires_at()),
            }))?;
        } else {
            output::line(&format!(
                "Created certificates for {}, valid for {} days.\n\n\
                 server: TLS_CERT={} TLS_KEY={} TLS_CLIENT_CA={} user-server\n\
                 client: user-cli ping --ca {} --cert {} --key {}",
                names.join(", "),
                self.days,
                show("server.pem"),
                show("server.key"),
                show("ca.pem"),
                show("ca.pem"),
                show("client.pem"),
                show("client.key"),
            ))?;
        }
        Ok(())
    }
}
