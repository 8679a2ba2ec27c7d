/** The version of this program, in one place. */

/** Semantic version of posthorn. */
export const VERSION = "0.1.0";
