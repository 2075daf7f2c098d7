import { connect as connectTcp, isIP } from "node:net";
import type { Socket } from "node:net";
import { checkServerIdentity, connect as connectTls } from "node:tls";

import type { Address } from "./address.js";
import type { TlsOptions } from "./options.js";

/** ALPN protocol name (RFC 7301). */
const ALPN = "user/1";

/** TLS alerts by which a server rejects the certificate of a client. */
const REJECTED = new Set([
  "CERTIFICATE_REQUIRED",
  "BAD_CERTIFICATE",
  "UNSUPPORTED_CERTIFICATE",
  "CERTIFICATE_REVOKED",
  "CERTIFICATE_EXPIRED",
  "CERTIFICATE_UNKNOWN",
  "UNKNOWN_CA",
  "ACCESS_DENIED",
  // A signature that does not match the certificate.
  "DECRYPT_ERROR",
]);

/** Descriptions of the errors of OpenSSL, which are hard to understand without context. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [
    /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE)/,
    "the server's certificate was not issued by a trusted authority",
  ],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, "the server's certificate is for another name"],
  [
    /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/,
    "the server's certificate has expired or is not valid yet",
  ],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG$/, "the server does not use TLS"],
  [/ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL$/, "the server does not support TLS 1.3"],
  [/ALERT_NO_APPLICATION_PROTOCOL$/, `the server does not speak the protocol \`${ALPN}\` (ALPN)`],
];

/** Error of a server that rejected the certificate of this client. */
export class CertificateRejected extends Error {
  override readonly name = "CertificateRejected";
}

/** Connects, with TLS if there are options for it. The abort of `signal` ends the attempt. */
export function connect(
  address: Address,
  tls: TlsOptions | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = open(address, tls);
    const onAbort = () => socket.destroy(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    const settle = () => {
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners();
    };
    socket.once("error", (error) => {
      settle();
      // A socket without a listener would throw further errors.
      socket.on("error", () => {});
      socket.destroy();
      reject(describe(error));
    });
    socket.once("close", () => {
      settle();
      reject(new Error("the server closed the connection during the TLS handshake"));
    });
    socket.once(tls === undefined ? "connect" : "secureConnect", () => {
      settle();
      if (tls !== undefined && "alpnProtocol" in socket && socket.alpnProtocol !== ALPN) {
        socket.on("error", () => {});
        socket.destroy();
        reject(new Error(`the server uses TLS but did not select the protocol \`${ALPN}\` (ALPN)`));
        return;
      }
      resolve(socket);
    });
  });
}

function open({ host, port }: Address, tls: TlsOptions | undefined): Socket {
  // Requests are small, and a caller waits for each.
  const socketOptions = { host, port, noDelay: true };
  if (tls === undefined) return connectTcp(socketOptions);
  const expected = tls.serverName ?? host;
  return connectTls({
    ...socketOptions,
    ca: tls.ca,
    cert: tls.cert,
    key: tls.key,
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    ALPNProtocols: [ALPN],
    rejectUnauthorized: true,
    // SNI contains no IP addresses (RFC 6066).
    servername: isIP(expected) === 0 ? expected : "",
    checkServerIdentity: (_, certificate) => checkServerIdentity(expected, certificate),
  });
}

/** Returns an error with a better description, if there is one for it. */
export function describe(error: Error): Error {
  const code = "code" in error ? String(error.code) : "";
  const alert = /_ALERT_([A-Z_]+)$/.exec(code)?.[1] ?? "";
  if (alert === "CERTIFICATE_REQUIRED") {
    return new CertificateRejected("the server requires a client certificate", { cause: error });
  }
  if (REJECTED.has(alert)) {
    const words = alert.toLowerCase().replaceAll("_", " ");
    return new CertificateRejected(`the server rejected the client certificate (${words})`, {
      cause: error,
    });
  }
  const reason = REASONS.find(([pattern]) => pattern.test(code))?.[1];
  if (reason !== undefined) return new Error(`${reason} (${code})`, { cause: error });
  return error;
}
