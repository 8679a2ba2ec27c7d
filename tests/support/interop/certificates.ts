/** Certificates for tests, made with openssl: a CA of our own and server certificates under it. */

import { mustRun } from "./command.ts";
import { programPath } from "./peers.ts";

/** A certificate and its key as PEM files. */
export interface CertificateFiles {
  /** The certificate, followed by that of the CA where there is one. */
  readonly chain: string;
  readonly key: string;
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** A certificate authority that lives in a folder. */
export class TestAuthority {
  private constructor(
    readonly folder: string,
    /** The CA's certificate: what clients have to trust. */
    readonly file: string,
  ) {}

  /** Makes a new CA in `folder`, which exists. */
  static async create(folder: string): Promise<TestAuthority> {
    const file = `${folder}/ca.crt`;
    await mustRun([
      programPath("openssl"),
      ..."req -x509 -days 30 -subj".split(" "),
      "/CN=posthorn test CA",
      ...KEY,
      ...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
      ...["-keyout", `${folder}/ca.key`, "-out", file],
    ]);
    return new TestAuthority(folder, file);
  }

  /** Issues a certificate, for a server by default; `names` are subject alternative names like `DNS:mail.example.org` or `IP:127.0.0.1`. */
  async issue(
    label: string,
    names: readonly string[],
    usage: "serverAuth" | "clientAuth" = "serverAuth",
  ): Promise<CertificateFiles> {
    const path = `${this.folder}/${label}`;
    const openssl = programPath("openssl");
    await mustRun([
      openssl,
      "req",
      "-new",
      "-subj",
      `/CN=${label}`,
      ...KEY,
      "-keyout",
      `${path}.key`,
      "-out",
      `${path}.csr`,
    ]);
    await Deno.writeTextFile(
      `${path}.ext`,
      `subjectAltName=${names.join(",")}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=${usage}\n`,
    );
    const leaf = await mustRun([
      openssl,
      ..."x509 -req -days 30 -CAcreateserial".split(" "),
      ...["-in", `${path}.csr`, "-CA", this.file, "-CAkey", `${this.folder}/ca.key`, "-extfile", `${path}.ext`],
    ]);
    await Deno.writeTextFile(`${path}.chain.pem`, leaf + await Deno.readTextFile(this.file));
    return { chain: `${path}.chain.pem`, key: `${path}.key` };
  }
}

/** SHA-256 fingerprint of the certificate that a server shows under implicit TLS. */
export async function shownFingerprint(host: string, port: number): Promise<string> {
  const openssl = programPath("openssl");
  const shown = await mustRun([openssl, "s_client", "-connect", `${host}:${port}`], { stdin: "QUIT\r\n" });
  return await mustRun([openssl, "x509", "-noout", "-fingerprint", "-sha256"], { stdin: shown });
}

/** SHA-256 fingerprint of the first certificate in a PEM file. */
export async function fileFingerprint(file: string): Promise<string> {
  return await mustRun([programPath("openssl"), "x509", "-noout", "-fingerprint", "-sha256", "-in", file]);
}
