/** The client's side of SCRAM-SHA-256 for tests, written after RFC 5802 §3 with functions that the server does not use. */

import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { Buffer } from "node:buffer";

/** What a client does; every part can be wrong. */
export interface ScramClientOptions {
  readonly identity?: string;
  readonly password?: string;
  /** `n`, `y` or `p=…`. */
  readonly flag?: string;
  readonly authorization?: string;
  readonly nonce?: string;
  /** The channel binding data that it sees. */
  readonly binding?: Uint8Array;
}

/** One client. */
export interface ScramClient {
  readonly first: string;
  /** The answer to the server's first message. */
  final(serverFirst: string): string;
  /** What the server must send last. */
  readonly expected: string;
}

/** Makes a client; by default that of the example in RFC 7677 §3. */
export function scramClient(options: ScramClientOptions = {}): ScramClient {
  const { identity = "user", password = "pencil", flag = "n", authorization = "" } = options;
  const { nonce = "rOprNGfwEbeRWgbNEkqO", binding = new Uint8Array(0) } = options;
  const gs2 = `${flag},${authorization === "" ? "" : `a=${authorization}`},`;
  const bare = `n=${identity.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  let expected = "";
  return {
    first: gs2 + bare,
    get expected(): string {
      return expected;
    },
    final(serverFirst: string): string {
      const [, whole = "", salt = "", iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? [];
      const salted = pbkdf2Sync(password, Buffer.from(salt, "base64"), Number(iterations), 32, "sha256");
      const mac = (key: Uint8Array, text: string): Buffer => createHmac("sha256", key).update(text).digest();
      const clientKey = mac(salted, "Client Key");
      const storedKey = createHash("sha256").update(clientKey).digest();
      const header = Buffer.concat([Buffer.from(gs2), binding]).toString("base64");
      const signed = `${bare},${serverFirst},c=${header},r=${whole}`;
      const signature = mac(storedKey, signed);
      const proof = Buffer.from(clientKey.map((octet, index) => octet ^ (signature[index] ?? 0)));
      expected = `v=${mac(mac(salted, "Server Key"), signed).toString("base64")}`;
      return `c=${header},r=${whole},p=${proof.toString("base64")}`;
    },
  };
}
