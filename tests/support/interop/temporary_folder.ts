/** A temporary folder that is removed with its content at the end of a test. */
export class TemporaryFolder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  /** Makes the folder. `isPublic`: other users of the machine may enter it, as servers that drop root must. */
  static async create(options: { readonly isPublic?: boolean } = {}): Promise<TemporaryFolder> {
    const path = await Deno.makeTempDir({ prefix: "posthorn-test-" });
    if (options.isPublic === true) await Deno.chmod(path, 0o755);
    return new TemporaryFolder(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (Deno.env.get("POSTHORN_KEEP_FOLDERS") === undefined) await Deno.remove(this.path, { recursive: true });
  }
}
