import { assertEquals } from "@std/assert";
import { EndOfTurn } from "../../../lib/system/end_of_turn.ts";

Deno.test("The end of a turn comes before any timer, and once for all who wait", async () => {
  const endOfTurn = new EndOfTurn();
  const seen: string[] = [];
  const { promise: isOver, resolve } = Promise.withResolvers<void>();
  setTimeout(() => {
    seen.push("timer");
    resolve();
  }, 0);
  const first = endOfTurn.next().then(() => seen.push("end of turn"));
  seen.push("the turn");
  const second = endOfTurn.next().then(() => seen.push("end of turn"));
  await Promise.all([first, second, isOver]);
  assertEquals(seen, ["the turn", "end of turn", "end of turn", "timer"]);
});

Deno.test("Who waits after the end of a turn waits for the next one", async () => {
  const endOfTurn = new EndOfTurn();
  await endOfTurn.next();
  let isOver = false;
  const next = endOfTurn.next().then(() => isOver = true);
  await undefined;
  assertEquals(isOver, false);
  await next;
});
