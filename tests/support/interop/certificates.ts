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

  /** Issues a certificate for a server that ended in 2020. */
  async issueExpired(label: string, names: readonly string[]): Promise<CertificateFiles> {
    const issuer = ["-cert", this.file, "-keyfile", `${this.folder}/ca.key`];
    const files = await backdate(this.folder, label, issuer, "CA:FALSE", names);
    await Deno.writeTextFile(files.chain, await Deno.readTextFile(this.file), { append: true });
    return files;
  }
}

/** Makes a self-signed certificate for nobody that ended in 2020. */
export async function makeExpired(folder: string, label: string): Promise<CertificateFiles> {
  return await backdate(folder, label, ["-selfsign", "-keyfile", `${folder}/${label}.key`], "CA:FALSE");
}

/** Makes a copy of a certificate's chain with a key of its own that claims to be that of the certificate. */
export async function forgeKey(folder: string, { chain, key }: CertificateFiles): Promise<CertificateFiles> {
  const openssl = programPath("openssl");
  const fresh = await mustRun([openssl, ..."ecparam -name prime256v1 -genkey -noout".split(" ")]);
  const [realKey, otherKey] = await Promise.all(
    [await Deno.readTextFile(key), fresh].map(async (pem) => pemOctets(await mustRun([openssl, "ec"], { stdin: pem }))),
  );
  if (realKey === undefined || otherKey === undefined) throw new TypeError("A key is missing");
  // ECPrivateKey (RFC 5915 §3): the secret number is in octets 7 to 39, the public key behind it.
  realKey.set(otherKey.subarray(7, 39), 7);
  const path = `${folder}/forged.key`;
  const body = btoa(String.fromCharCode(...realKey)).replace(/.{64}/g, "$&\n");
  await Deno.writeTextFile(path, `-----BEGIN EC PRIVATE KEY-----\n${body}\n-----END EC PRIVATE KEY-----\n`);
  return { chain, key: path };
}

function pemOctets(pem: string): Uint8Array {
  return Uint8Array.from(atob(pem.replace(/-----[^-]+-----|\s/g, "")), (octet) => octet.charCodeAt(0));
}

/** Issues a certificate that was valid in January 2020. */
async function backdate(
  folder: string,
  label: string,
  issuer: readonly string[],
  constraints: string,
  names: readonly string[] = [],
): Promise<CertificateFiles> {
  const [path, openssl] = [`${folder}/${label}`, programPath("openssl")];
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
  const alternatives = names.length === 0 ? "" : `subjectAltName=${names.join(",")}\n`;
  await Deno.writeTextFile(`${path}.ext`, `basicConstraints=${constraints}\n${alternatives}`);
  await Deno.writeTextFile(`${path}.index`, "");
  const section = `database=${path}.index\nrand_serial=yes\nnew_certs_dir=${folder}\ndefault_md=sha256\npolicy=names\n`;
  await Deno.writeTextFile(`${path}.cnf`, `[ca]\ndefault_ca=here\n[here]\n${section}[names]\ncommonName=supplied\n`);
  await mustRun([
    openssl,
    ..."ca -batch -notext -startdate 20200101000000Z -enddate 20200201000000Z".split(" "),
    ...["-config", `${path}.cnf`, "-in", `${path}.csr`, "-extfile", `${path}.ext`, "-out", `${path}.chain.pem`],
    ...issuer,
  ]);
  return { chain: `${path}.chain.pem`, key: `${path}.key` };
}

/** The data of a TLSA record about the first certificate of a PEM file, or the CA's, as it stands in a zone file. */
export async function tlsaData(usage: number, selector: number, matchingType: number, file: string): Promise<string> {
  const openssl = programPath("openssl");
  const certificate = await mustRun([openssl, "x509", "-in", file]);
  const octets = pemOctets(
    selector === 0 ? certificate : await mustRun([openssl, "x509", "-noout", "-pubkey"], { stdin: certificate }),
  );
  const hash = matchingType === 1 ? "SHA-256" : matchingType === 2 ? "SHA-512" : undefined;
  const data = hash === undefined ? octets : new Uint8Array(await crypto.subtle.digest(hash, Uint8Array.from(octets)));
  return `${usage} ${selector} ${matchingType} ${data.toHex()}`;
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
