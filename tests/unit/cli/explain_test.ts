import { assertEquals, assertMatch } from "@std/assert";
import { AccountsInUseError } from "../../../lib/config/accounts_lock.ts";
import { explain } from "../../../lib/cli/explain.ts";
import { AdminError } from "../../../lib/admin/client.ts";
import { UsageError } from "../../../lib/cli/command_line.ts";
import { BindError } from "../../../lib/inbound/bind.ts";
import { SpoolInUseError } from "../../../lib/queue/spool_lock.ts";

Deno.test("a folder that may not be written names itself, says what to do, and ends with 77", () => {
  const error = new Deno.errors.PermissionDenied("Permission denied (os error 13): mkdir '/srv/data'");
  assertEquals(explain(error), {
    text:
      'posthorn: Cannot make folder "/srv/data": permission denied; run posthorn as a user who may do that, or give it to the user it runs as',
    exitCode: 77,
  });
});

Deno.test("a full disk ends with 73, also where the system names no path", () => {
  const { text, exitCode } = explain(new Error("No space left on device (os error 28)"));
  assertMatch(text, /^posthorn: No space left on device; make room/);
  assertEquals(exitCode, 73);
});

Deno.test("what another process holds ends with 69, a wrong command line with 64 and the usage", () => {
  assertEquals(explain(new BindError("Cannot listen")).exitCode, 69);
  assertEquals(explain(new SpoolInUseError("Cannot lock")).exitCode, 69);
  const { text, exitCode } = explain(new UsageError('unknown command "x"'));
  assertMatch(text, /unknown command "x"\n\nusage: posthorn/);
  assertEquals(exitCode, 64);
});

Deno.test("accounts that another command does not let go end with 75: try again", () => {
  assertEquals(explain(new AccountsInUseError('Cannot change "/x": another command has been changing it for 10 s')), {
    text: 'posthorn: Cannot change "/x": another command has been changing it for 10 s',
    exitCode: 75,
  });
});

Deno.test("a fault of posthorn ends with 70 and one line that names its place", () => {
  const { text, exitCode } = explain(new TypeError("x is undefined"));
  assertMatch(text, /^posthorn: internal error: TypeError: x is undefined \(at .+\)$/);
  assertEquals(exitCode, 70);
});

Deno.test("a control socket that this user may not use ends with 77, one that does not answer with 69", () => {
  assertEquals(explain(new AdminError("denied", "Cannot use the control socket")).exitCode, 77);
  assertEquals(explain(new AdminError("failed", "Cannot ask the server")), {
    text: "posthorn: Cannot ask the server",
    exitCode: 69,
  });
});

Deno.test("a wrong use of queue shows the usage of queue", () => {
  assertEquals(
    explain(new UsageError("wrong", "usage: posthorn queue")).text,
    "posthorn: wrong\n\nusage: posthorn queue",
  );
});
