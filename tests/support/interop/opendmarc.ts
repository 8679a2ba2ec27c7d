/** What OpenDMARC's library makes of messages, called by Python: no daemon, no DNS. */

import { mustRun } from "./command.ts";
import { programPath } from "./peers.ts";

/** A message, and the record that holds for its author domain. */
export interface OpendmarcCase {
  readonly from: string;
  readonly record: string;
  /** Where the record is, if not at the author domain. */
  readonly organization?: string | undefined;
  /** The domain of MAIL, which passed. */
  readonly spf?: string | undefined;
  /** Domains of signatures that passed. */
  readonly dkim: readonly string[];
}

/** What comes of it. */
export interface OpendmarcVerdict {
  /** `void`: the record cannot be used. */
  readonly result: "pass" | "none" | "quarantine" | "reject" | "void";
  readonly isSpfAligned?: boolean;
  readonly isDkimAligned?: boolean;
  readonly percent?: number;
}

const SCRIPT = `
import ctypes, json, sys
lib = ctypes.CDLL(sys.argv[1])
class Settings(ctypes.Structure):
    _fields_ = [("tld_type", ctypes.c_int), ("tld_source_file", ctypes.c_char * 2048), ("rest", ctypes.c_char * 4096)]
lib.opendmarc_policy_connect_init.restype = ctypes.c_void_p
for name in ("connect_shutdown", "store_from_domain", "store_spf", "store_dkim", "store_dmarc", "fetch_alignment", "fetch_pct"):
    getattr(lib, "opendmarc_policy_" + name).argtypes = None
settings = Settings(tld_type=1, tld_source_file=sys.argv[2].encode())
assert lib.opendmarc_policy_library_init(ctypes.byref(settings)) == 0
RESULTS = {15: "pass", 16: "reject", 17: "quarantine", 18: "none"}
verdicts = []
for case in json.load(sys.stdin):
    context = ctypes.c_void_p(lib.opendmarc_policy_connect_init(b"192.0.2.1", 4))
    assert lib.opendmarc_policy_store_from_domain(context, case["from"].encode()) == 0
    # Alignment is judged when an identifier is stored, so that the record has to be there before.
    organization = case.get("organization")
    stored = lib.opendmarc_policy_store_dmarc(context, case["record"].encode("latin-1"), case["from"].encode(),
        organization.encode() if organization else None)
    if case.get("spf"):
        assert lib.opendmarc_policy_store_spf(context, case["spf"].encode(), 1, 1, None) == 0
    for domain in case["dkim"]:
        assert lib.opendmarc_policy_store_dkim(context, domain.encode(), b"s", 1, None) == 0
    if stored != 0:
        verdicts.append({"result": "void"})
    else:
        dkim, spf, percent = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        result = RESULTS[lib.opendmarc_get_policy_to_enforce(context)]
        lib.opendmarc_policy_fetch_alignment(context, ctypes.byref(dkim), ctypes.byref(spf))
        lib.opendmarc_policy_fetch_pct(context, ctypes.byref(percent))
        verdicts.append({"result": result, "isSpfAligned": spf.value == 4, "isDkimAligned": dkim.value == 4,
            "percent": percent.value})
    lib.opendmarc_policy_connect_shutdown(context)
json.dump(verdicts, sys.stdout)
`;

/** Asks the library about all cases at once. */
export async function askOpendmarc(cases: readonly OpendmarcCase[]): Promise<readonly OpendmarcVerdict[]> {
  const command = [programPath("python"), "-c", SCRIPT, programPath("libopendmarc"), programPath("publicsuffix")];
  return JSON.parse(await mustRun(command, { stdin: JSON.stringify(cases) }));
}
