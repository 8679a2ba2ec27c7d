/** The exit codes of posthorn: those of BSD's sysexits.h that the commands use. */

/** Done. */
export const OK = 0;
/** The command line is wrong (EX_USAGE). */
export const USAGE_ERROR = 64;
/** The input is wrong: a message, an address, a password (EX_DATAERR). */
export const DATA_ERROR = 65;
/** Something that is needed does not answer (EX_UNAVAILABLE). */
export const UNAVAILABLE = 69;
/** A fault of posthorn itself (EX_SOFTWARE). */
export const INTERNAL_ERROR = 70;
/** A file or folder cannot be made (EX_CANTCREAT). */
export const CANNOT_CREATE = 73;
/** It may work later (EX_TEMPFAIL). */
export const TRY_AGAIN = 75;
/** The user that runs it may not do that (EX_NOPERM). */
export const NO_PERMISSION = 77;
/** The configuration is wrong (EX_CONFIG). */
export const CONFIG_ERROR = 78;
