/**
 * Tests that need programs of others. Where one is missing, the test is skipped and its name says why; with
 * POSTHORN_REQUIRE_PEERS=1, as in CI, it fails instead.
 */

const LIBRARY_FOLDERS = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];

/** A program that tests use: the names or paths under which it may be found. */
const PROGRAMS = {
  swaks: ["swaks"],
  curl: ["curl"],
  msmtp: ["msmtp"],
  mutt: ["/usr/bin/mutt", "mutt"],
  script: ["/usr/bin/script", "script"],
  openssl: ["openssl"],
  gsasl: ["gsasl"],
  "cyrus-scram": LIBRARY_FOLDERS.map((folder) => `${folder}/sasl2/libscram.so`),
  libopendmarc: LIBRARY_FOLDERS.map((folder) => `${folder}/libopendmarc.so.2`),
  libfaketime: LIBRARY_FOLDERS.map((folder) => `${folder}/faketime/libfaketimeMT.so.1`),
  publicsuffix: ["/usr/share/publicsuffix/public_suffix_list.dat"],
  python: ["/usr/bin/python3", "python3"],
  perl: ["/usr/bin/perl", "perl"],
  postfix: ["/usr/sbin/postfix", "postfix"],
  opendkim: ["/usr/sbin/opendkim", "opendkim"],
  opendmarc: ["/usr/sbin/opendmarc", "opendmarc"],
  postsrsd: ["/usr/sbin/postsrsd", "postsrsd"],
  haproxy: ["/usr/sbin/haproxy", "haproxy"],
  testssl: ["/usr/bin/testssl", "testssl.sh"],
  dovecot: ["/usr/sbin/dovecot", "dovecot"],
  doveadm: ["/usr/bin/doveadm", "doveadm"],
  maildrop: ["/usr/bin/maildrop", "maildrop"],
  maildirmake: ["/usr/bin/maildirmake.maildrop", "maildirmake.maildrop"],
  deliverquota: ["/usr/sbin/deliverquota.maildrop", "deliverquota.maildrop"],
  knotd: ["/usr/sbin/knotd", "knotd"],
  knotc: ["/usr/sbin/knotc", "knotc"],
  keymgr: ["/usr/sbin/keymgr", "keymgr"],
  kdig: ["kdig"],
  "named-checkzone": ["/usr/bin/named-checkzone", "/usr/sbin/named-checkzone", "named-checkzone"],
  unbound: ["/usr/sbin/unbound", "unbound"],
  unshare: ["unshare"],
  nsenter: ["nsenter"],
  prlimit: ["prlimit"],
  nmap: ["nmap"],
  "dovecot-lmtpd": ["/usr/lib/dovecot/lmtp"],
  cyrmaster: ["/usr/sbin/cyrmaster"],
  "cyrus-lmtpd": ["/usr/lib/cyrus/bin/lmtpd"],
  "dovecot-submissiond": ["/usr/lib/dovecot/submission"],
  xmllint: ["/usr/bin/xmllint", "xmllint"],
  ip: ["/usr/sbin/ip", "/sbin/ip", "ip"],
} as const;

/** Name of a program that a test may need. */
export type Program = keyof typeof PROGRAMS;

/** Modules of Perl: those that swaks uses, and another sender rewriting. */
type PerlModule = "Net::SSLeay" | "Authen::SASL" | "Authen::NTLM" | "Mail::SRS" | "Mail::DKIM";

/** Modules of Python, by the names of their packages. */
type PythonModule = "python3-dkim" | "python3-authres";

/** Something else that a test may need. */
export type Need =
  | Program
  | "root"
  | "sisimai"
  | PerlModule
  | "flufl.bounce"
  | "pyspf"
  | "authres"
  | PythonModule
  | Unpacked
  | Optional;

/** Names a program that `.ci/run` took out of a package which cannot be installed beside others. */
type Unpacked = "POSTHORN_EXIM" | "POSTHORN_CYRUS_IMAPD";

/** Names our executable, which not every run of the tests has. */
type Optional = "POSTHORN_BINARY";

/** Where a program is, or undefined where it is not installed. */
export function findProgram(program: Program): string | undefined {
  for (const name of PROGRAMS[program]) {
    const folders = name.startsWith("/") ? [""] : (Deno.env.get("PATH") ?? "").split(":").map((folder) => `${folder}/`);
    for (const folder of folders) {
      if (isFile(`${folder}${name}`)) return `${folder}${name}`;
    }
  }
  return undefined;
}

/** Where a program is. @throws {Error} When it is not installed. */
export function programPath(program: Program): string {
  const path = findProgram(program);
  if (path === undefined) throw new Error(`Cannot find the program "${program}"`);
  return path;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function has(need: Need): boolean {
  switch (need) {
    case "root":
      return Deno.build.os === "linux" && Deno.uid() === 0;
    case "sisimai":
      return succeeds(findProgram("perl"), ["-MSisimai", "-e", "1"]);
    case "Net::SSLeay":
    case "Authen::SASL":
    case "Authen::NTLM":
    case "Mail::SRS":
    case "Mail::DKIM":
      return succeeds(findProgram("perl"), [`-M${need}`, "-e", "1"]);
    case "flufl.bounce":
      return succeeds(findProgram("python"), ["-c", "import flufl.bounce"]);
    case "pyspf":
      return succeeds(findProgram("python"), ["-c", "import spf"]);
    case "python3-dkim":
      return succeeds(findProgram("python"), ["-c", "import dkim"]);
    case "authres":
    case "python3-authres":
      return succeeds(findProgram("python"), ["-c", "import authres"]);
    case "POSTHORN_BINARY":
    case "POSTHORN_EXIM":
    case "POSTHORN_CYRUS_IMAPD":
      return (Deno.env.get(need) ?? "") !== "";
    default:
      return findProgram(need) !== undefined;
  }
}

function succeeds(program: string | undefined, args: string[]): boolean {
  if (program === undefined) return false;
  return new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync().success;
}

/**
 * Registers a test that needs `needs`.
 *
 * @param name A sentence.
 */
export function peerTest(name: string, needs: readonly Need[], run: () => Promise<void>): void {
  const missing = needs.filter((need) => !has(need));
  if (missing.length === 0) {
    Deno.test(name, run);
    return;
  }
  const reason = `not here: ${missing.join(", ")}`;
  const isOptional = missing.includes("POSTHORN_BINARY");
  if (Deno.env.get("POSTHORN_REQUIRE_PEERS") === "1" && !isOptional) {
    Deno.test(name, () => {
      throw new Error(`Cannot run this test: ${reason}`);
    });
  } else {
    Deno.test({ name: `${name} (skipped, ${reason})`, ignore: true, fn: run });
  }
}

/** Notes a line of figures: in the file that $POSTHORN_REPORT names, because `deno test --quiet` hides what tests print. */
export async function report(line: string): Promise<void> {
  const file = Deno.env.get("POSTHORN_REPORT");
  if (file === undefined) {
    await Deno.stdout.write(new TextEncoder().encode(`  ${line}\n`));
  } else {
    await Deno.writeTextFile(file, `${line}\n`, { append: true });
  }
}
