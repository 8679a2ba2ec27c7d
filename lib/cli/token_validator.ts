/** Makes what judges bearer tokens, as the configuration says. */

import type { OauthConfig } from "../config/config.ts";
import { type ConfigIo, reasonOf } from "../config/source.ts";
import { fetchJson, type Http, type JsonAnswer, parseObject } from "../sasl/oauth/fetch_json.ts";
import { introspectionValidator } from "../sasl/oauth/introspection.ts";
import { jwtValidator } from "../sasl/oauth/jwt.ts";
import { KeySource } from "../sasl/oauth/key_set.ts";
import type { TokenValidator } from "../sasl/oauth/validator.ts";
import { withVerdictCache } from "../sasl/oauth/verdict_cache.ts";

/** What judging needs. */
export interface TokenValidatorOptions extends Http {
  /** Reads a file of keys. */
  readonly readText: ConfigIo["readText"];
}

/** Makes a validator. Only introspection is cached: to check a signature costs less than a millisecond. */
export function tokenValidator({ rules, service }: OauthConfig, options: TokenValidatorOptions): TokenValidator {
  const { clock, readText } = options;
  if (service.kind === "introspection") {
    const { url, client } = service;
    return withVerdictCache(named(url, introspectionValidator({ url, client, rules, http: options })), { clock });
  }
  const place = service.kind === "jwks-url" ? service.url : service.path;
  const load = service.kind === "jwks-url"
    ? () => fetchJson(service.url, { headers: { Accept: "application/json" } }, options)
    : () => readObject(service.path, readText);
  return named(place, jwtValidator({ keys: new KeySource({ load, clock }), rules, clock }));
}

async function readObject(path: string, readText: ConfigIo["readText"]): Promise<JsonAnswer> {
  try {
    return parseObject(await readText(path));
  } catch (error) {
    return { kind: "failed", reason: reasonOf(error) };
  }
}

/** Puts the place of the service in front of what is wrong with it. */
function named(place: string, validator: TokenValidator): TokenValidator {
  return {
    validate: async (token) => {
      const verdict = await validator.validate(token);
      return verdict.kind === "unavailable" ? { ...verdict, reason: `${place}: ${verdict.reason}` } : verdict;
    },
  };
}
