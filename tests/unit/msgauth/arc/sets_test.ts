import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { type ArcChain, readArcChain } from "../../../../lib/msgauth/arc/sets.ts";
import { indexHeader } from "../../../../lib/msgauth/dkim/header_hash.ts";

const read = (text: string): ArcChain =>
  readArcChain(indexHeader(Uint8Array.from(text, (character) => character.charCodeAt(0))));

/** Fields that look like a set; nothing is signed. */
function fields(instance: number | string, cv = instance === 1 ? "none" : "pass"): string[] {
  return [
    `ARC-Seal: i=${instance}; a=rsa-sha256; cv=${cv}; d=list.example; s=s1; b=AAAA\r\n`,
    `ARC-Message-Signature: i=${instance}; a=rsa-sha256; d=list.example; s=s1; h=from; bh=AAAA; b=AAAA\r\n`,
    `ARC-Authentication-Results: i=${instance}; mx.example; dmarc=pass\r\n`,
  ];
}

function problemOf(text: string): string {
  const chain = read(text);
  assert(chain.kind === "broken", text);
  return chain.problem;
}

Deno.test("a message without ARC fields has no chain", () => {
  assertEquals(read("From: a@example.org\r\nDKIM-Signature: i=1\r\nX-ARC-Seal: i=1\r\n"), { kind: "none" });
  assertEquals(read(""), { kind: "none" });
});

Deno.test("sets are found in whatever order their fields stand, and sorted from the oldest on", () => {
  const all = [2, 3, 1].flatMap((instance) => fields(instance));
  for (const text of [all.join(""), all.toReversed().join("Subject: x\r\n"), all.toSorted().join("").toLowerCase()]) {
    const chain = read(text);
    assert(chain.kind === "chain");
    assertEquals(chain.sets.map(({ instance }) => instance), [1, 2, 3]);
    assertEquals(chain.sets.map(({ sealTags }) => sealTags.get("cv")?.value), ["none", "pass", "pass"]);
    assertEquals(chain.sets[2]?.rawResults, " mx.example; dmarc=pass");
  }
});

Deno.test("the instance of results may have white space, folds and comments around it, and ends with a semicolon", () => {
  const [seal, signature] = fields(1);
  for (const value of [" i=1;x", "i=01; x", "\t(first (of) \\( all)i = \r\n\t(no) 1 (here);x"]) {
    assertEquals(read(`${seal}${signature}ARC-Authentication-Results:${value}\r\n`).kind, "chain", value);
  }
  for (
    const value of [
      "",
      " ",
      "i",
      "i=",
      "i=;",
      "i=1",
      "i=1 x",
      "I=1;",
      "i=0;",
      "i=51;",
      "i=100;",
      "i=-1;",
      "i=a;",
      "i=1(;",
      "x; i=1;",
    ]
  ) {
    assertMatch(
      problemOf(`${seal}${signature}ARC-Authentication-Results: ${value}\r\n`),
      /^ARC-Authentication-Results: it does not begin with an instance$/,
    );
  }
});

Deno.test("a seal or signature without a good instance breaks the chain", () => {
  for (const name of ["ARC-Seal", "ARC-Message-Signature"]) {
    for (const i of ["", "i=", "i=0", "i=51", "i=1.0", "i=+1", "i=a", "i=1 0", "I=1"]) {
      const text = [...fields(1).filter((field) => !field.startsWith(name)), `${name}: ${i && `${i};`} b=x\r\n`];
      assertEquals(problemOf(text.join("")), `${name}: i= is no number from 1 to 50`, i);
    }
    const text = [...fields(1).filter((field) => !field.startsWith(name)), `${name}: i=1; i=1; b=x\r\n`];
    assertEquals(problemOf(text.join("")), `${name}: i= stands there twice`);
  }
});

Deno.test("a field that is missing, or there twice, breaks the chain, whichever it is", () => {
  for (const instance of [1, 2]) {
    for (const at of [0, 1, 2]) {
      const all = [...fields(1), ...fields(2)];
      const index = (instance - 1) * 3 + at;
      const name = all[index]?.split(":")[0] ?? "";
      assertEquals(problemOf(all.toSpliced(index, 1).join("")), `there is no ${name} of instance ${instance}`);
      assertEquals(problemOf([...all, all[index]].join("")), `${name}: there are two of instance ${instance}`);
    }
  }
  assertEquals(
    problemOf([...fields(1), ...fields(3)].join("")),
    "there is no ARC-Authentication-Results of instance 2",
  );
  assertEquals(problemOf(fields(2).join("")), "there is no ARC-Authentication-Results of instance 1");
});

Deno.test("the first seal must say cv=none and each later one cv=pass", () => {
  for (const cv of ["pass", "", "None", "nonesuch"]) {
    assertEquals(problemOf(fields(1, cv).join("")), "ARC-Seal 1 has not cv=none");
  }
  assertEquals(problemOf([...fields(1), ...fields(2, "none")].join("")), "ARC-Seal 2 has not cv=pass");
  assertEquals(problemOf([...fields(1, "fail"), ...fields(2)].join("")), "ARC-Seal 1 has not cv=none");
});

Deno.test("a chain that its newest seal calls failed is over, also where more is wrong with it", () => {
  for (const text of [fields(1, "fail"), fields(7, "fail"), [...fields(1), ...fields(1), ...fields(2, "fail")]]) {
    const chain = read(text.join(""));
    assert(chain.kind === "broken" && chain.isEnded);
    assertMatch(chain.problem, /^ARC-Seal \d says that the chain failed before$/);
  }
  const chain = read([...fields(1, "fail"), ...fields(2)].join(""));
  assert(chain.kind === "broken" && !chain.isEnded);
  assertEquals(chain.highestInstance, 2);
});

Deno.test("fifty sets are a chain, and more are none", () => {
  const all = Array.from({ length: 50 }, (_, index) => fields(index + 1)).flat();
  const chain = read(all.join(""));
  assert(chain.kind === "chain");
  assertEquals(chain.sets.length, 50);
  assertEquals(problemOf([...all, ...fields(51)].join("")), "there are more than 50 sets");
  assertEquals(problemOf(`${all.slice(3).join("")}${fields(51)[0]}`), "ARC-Seal: i= is no number from 1 to 50");
});

Deno.test("thousands of fields, or very large ones, are refused without reading them", () => {
  const started = performance.now();
  assertEquals(problemOf(fields(1)[0]?.repeat(20_000) ?? ""), "there are more than 50 sets");
  const large = `${fields(1).slice(0, 2).join("")}ARC-Authentication-Results: i=1; ${"x".repeat(1_000_000)}\r\n`;
  assertEquals(problemOf(large), "the fields are too large");
  for (const unit of ["(", " ", "\\", "i", "=", ";", "\r\n "]) {
    const hostile = unit.repeat(40_000 / unit.length);
    read(
      fields(1).map((field) => field.split(":")[0]).map((name) => `${name}: ${hostile.slice(0, 40_000)}\r\n`).join(""),
    );
  }
  assert(performance.now() - started < 3000);
});

Deno.test("no fields make the reading throw", () => {
  const value = fc.oneof(
    fc.uint8Array().map((octets) => String.fromCharCode(...octets)),
    fc.array(fc.constantFrom("i=", "1", "2", ";", " ", "\r\n ", "cv=", "pass", "none", "fail", "(", ")", "\0", "ü"))
      .map((parts) => parts.join("")),
  );
  const field = fc.tuple(
    fc.constantFrom("ARC-Seal", "arc-message-signature", "ARC-Authentication-Results", "ARC-Seal "),
    value,
  ).map(([name, text]) => `${name}:${text}\r\n`);
  fc.assert(fc.property(fc.array(field), (all) => {
    assertMatch(read(all.join("")).kind, /^(none|chain|broken)$/);
  }));
});
