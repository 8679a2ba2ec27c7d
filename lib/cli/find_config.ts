/** Where the configuration is read from. */

import type { ConfigIo } from "../config/source.ts";
import { CONFIG_ERROR } from "../system/sysexits.ts";
import { CommandError } from "./command_error.ts";

/** Reads files and environment of this process. */
export const processIo: ConfigIo = {
  readText: (path) => Deno.readTextFile(path),
  env: (name) => Deno.env.get(name),
};

const USUAL_PLACES = ["./posthorn.yaml", "/etc/posthorn/posthorn.yaml"];

/**
 * Finds the configuration file: the one named, $POSTHORN_CONFIG, `./posthorn.yaml`, `/etc/posthorn/posthorn.yaml`.
 *
 * @throws {CommandError} Where none of the usual places has one.
 */
export async function findConfig(named: string | undefined): Promise<string> {
  const file = named ?? Deno.env.get("POSTHORN_CONFIG");
  if (file !== undefined && file !== "") return file;
  for (const place of USUAL_PLACES) {
    try {
      await Deno.stat(place);
      return place;
    } catch {
      // The next place.
    }
  }
  throw new CommandError(
    CONFIG_ERROR,
    `Cannot find a configuration: there is no ${USUAL_PLACES.join(" and no ")}; name one with --config FILE`,
  );
}
