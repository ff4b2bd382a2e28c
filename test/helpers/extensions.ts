/** DuckDB's extensions for tests: fetched once per user into the cache, from there on read by every test process. */
import { join } from 'node:path'
import { cacheFolder } from '../../src/cache-folder.ts'
import { provideExtensions } from '../../src/extensions/provide-extensions.ts'

/**
 * A folder for `extension_directory` that holds these extensions, and maybe others. Name what they need, too: quack needs httpfs.
 * The first call of all processes takes seconds: give a hook's timeout to it, not a test's.
 */
export async function extensionDirectory(...names: string[]): Promise<string> {
  const directory = join(cacheFolder(process.env), 'extensions')
  await provideExtensions(directory, names, { onProgress: (line) => process.stderr.write(`${line}\n`) })
  return directory
}
