/** What `posthorn user` can be told. */

import { type CommandFlags, UsageError } from "../command_line.ts";

/** What `user` alone prints. */
export const USER_USAGE = `usage: posthorn [--config FILE] user ACTION

  add ADDRESS                            a mailbox; the password: first line of standard input, or asked for twice
  password ADDRESS                       a new password, in the same way
  remove ADDRESS                         nobody can log in, no mail is taken; what is in the mailbox stays on disk
  list [--json]                          all mailboxes
  show ADDRESS [--json]                  its addresses, where its mail goes, its quota and how much is in it
  address MAILBOX add|remove ADDRESS     one more address of the mailbox, or one less
  forward MAILBOX ADDRESS… [--keep-copy] its mail goes on to these; with --keep-copy into the mailbox, too
  forward MAILBOX off                    its mail goes into the mailbox only
  quota MAILBOX SIZE [MESSAGES]          how much it may hold, e.g. 2GiB 100000; each of them may be none or default
  quota MAILBOX none|default             no limit at all, or what the configuration says
  mailbox ADDRESS                        makes its folders anew, where they were removed on purpose`;

/** The flags of `user`. */
export const USER_FLAGS: CommandFlags = { values: [], switches: ["keep-copy"], usage: USER_USAGE };

/** A command line that makes no sense for `user`. */
export function usage(message: string): UsageError {
  return new UsageError(message, USER_USAGE);
}
