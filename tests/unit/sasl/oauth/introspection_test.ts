import { assertEquals, assertMatch } from "@std/assert";
import { introspectionValidator } from "../../../../lib/sasl/oauth/introspection.ts";
import type { TokenVerdict } from "../../../../lib/sasl/oauth/validator.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

const RULES = { issuer: "https://login.example", audience: undefined, claim: "username", scopes: [] };

interface Asked {
  readonly verdict: TokenVerdict;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

async function ask(response: () => Response, client?: { id: string; secret: string }): Promise<Asked> {
  const requests: { url: string; init: RequestInit }[] = [];
  const validator = introspectionValidator({
    url: "https://login.example/introspect",
    client,
    rules: RULES,
    http: {
      fetch: (url, init) => {
        requests.push({ url, init });
        return Promise.resolve(response());
      },
      clock: new FakeClock(),
    },
  });
  const verdict = await validator.validate("to/k+en==");
  const [{ url = "", init = {} } = {}] = requests;
  assertEquals([requests.length, init.method], [1, "POST"]);
  return { verdict, url, headers: new Headers(init.headers), body: String(init.body) };
}

Deno.test("the server is asked with a form, and its claims are judged", async () => {
  const { verdict, url, headers, body } = await ask(() =>
    Response.json({ active: true, username: "alice@example.org", exp: 1_767_225_700, iss: RULES.issuer })
  );
  assertEquals(verdict, { kind: "valid", identity: "alice@example.org", expiresAtMs: 1_767_225_700_000 });
  assertEquals(url, "https://login.example/introspect");
  assertEquals(headers.get("content-type"), "application/x-www-form-urlencoded");
  assertEquals(headers.get("authorization"), null);
  assertEquals(body, "token=to%2Fk%2Ben%3D%3D&token_type_hint=access_token");
});

Deno.test("name and secret of the client go as Basic, form-encoded first", async () => {
  const client = { id: "post:horn", secret: "grün & 100%" };
  const { headers } = await ask(() => Response.json({ active: false }), client);
  const [, encoded = ""] = /^Basic (.+)$/.exec(headers.get("authorization") ?? "") ?? [];
  assertEquals(atob(encoded), "post%3Ahorn:gr%C3%BCn+%26+100%25");
});

Deno.test("a token that is not active is refused, and claims without a name are, too", async () => {
  const { verdict } = await ask(() => Response.json({ active: false, username: "alice@example.org" }));
  assertEquals(verdict, { kind: "invalid", error: "invalid_token", reason: "it is not active" });
  assertEquals((await ask(() => Response.json({ active: true }))).verdict.kind, "invalid");
});

Deno.test("a server that refuses us, fails or says nothing of the token is unavailable", async () => {
  for (
    const response of [
      () => new Response("{}", { status: 401 }),
      () => new Response("{}", { status: 500 }),
      () => Response.json({}),
      () => Response.json({ active: "true", username: "alice@example.org" }),
      () => new Response("<html>"),
    ]
  ) {
    const { verdict } = await ask(response);
    assertEquals(verdict.kind, "unavailable");
    assertMatch(verdict.kind === "unavailable" ? verdict.reason : "", /^(?:answered with status|gave )/);
  }
});
