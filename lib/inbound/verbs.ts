/** The table of verbs: what the wire can reach, and under which conditions. */

import { auth } from "./verbs/auth.ts";
import { bdat, dropChunk } from "./verbs/bdat.ts";
import { data } from "./verbs/data.ts";
import { etrn } from "./verbs/etrn.ts";
import { greet } from "./verbs/greet.ts";
import { mail } from "./verbs/mail.ts";
import { rcpt } from "./verbs/rcpt.ts";
import { expn, help, noop, quit, rset, startTls, vrfy } from "./verbs/simple.ts";
import { xclient } from "./verbs/xclient.ts";
import type { VerbRules } from "./verb.ts";

const ANY_TIME = { needs: "nothing", isLastInGroup: false, needsLogin: false } as const;
const ALONE = { needs: "nothing", isLastInGroup: true, needsLogin: false } as const;

/** The rule of each verb. RFC 5321 §4.1.4: NOOP, HELP, EXPN, VRFY and RSET are allowed at any time; ours wants a greeting
 * before VRFY, as most servers do. */
export const VERBS: VerbRules = {
  EHLO: { ...ALONE, handle: greet },
  HELO: { ...ALONE, handle: greet },
  LHLO: { ...ALONE, handle: greet },
  STARTTLS: { ...ALONE, needs: "greeting", handle: startTls },
  AUTH: { ...ALONE, needs: "greeting", handle: auth },
  MAIL: { ...ANY_TIME, needs: "greeting", needsLogin: true, handle: mail },
  RCPT: { ...ANY_TIME, needs: "transaction", needsLogin: true, handle: rcpt },
  DATA: { ...ALONE, needs: "recipient", needsLogin: true, handle: data },
  // May be pipelined (RFC 3030 §2), and its chunk must be read even where it is refused.
  BDAT: { ...ANY_TIME, needs: "recipient", needsLogin: true, handle: bdat, drop: dropChunk },
  RSET: { ...ANY_TIME, handle: rset },
  NOOP: { ...ANY_TIME, handle: noop },
  VRFY: { ...ANY_TIME, needs: "greeting", needsLogin: true, handle: vrfy },
  EXPN: { ...ANY_TIME, handle: expn },
  HELP: { ...ANY_TIME, handle: help },
  XCLIENT: { ...ALONE, handle: xclient },
  ETRN: { ...ALONE, needs: "greeting", handle: etrn },
  QUIT: { ...ANY_TIME, handle: quit },
};
