/** Whether this Deno can lock files. */
export const canLock: boolean = "tryLock" in Deno.FsFile.prototype || "lock" in Deno.FsFile.prototype;
