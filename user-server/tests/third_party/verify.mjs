// Verifies an access token with jose: node verify.mjs JWKS TOKEN. Prints the user and the session.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The folder of the packages is given by the test.
const { createLocalJWKSet, jwtVerify } = createRequire(process.cwd() + "/")("jose");
const [jwksFile, tokenFile] = process.argv.slice(2);
const keys = createLocalJWKSet(JSON.parse(readFileSync(jwksFile, "utf8")));
const { payload } = await jwtVerify(readFileSync(tokenFile, "utf8"), keys, {
  issuer: "user-service",
  audience: "user-service",
  typ: "at+jwt",
  requiredClaims: ["sub", "exp", "iat"],
});
console.log(payload.sub, payload.sid);
