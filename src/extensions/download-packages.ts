/** DuckDB's extensions as packages of the Python package index, fetched with pip, which knows the user's index and proxy. */
import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError, nearest } from '../errors.ts'
import { findProgram } from '../temporal/find-program.ts'

export interface DownloadOptions {
  /** DuckDB's version, `v1.5.5`: an extension works with the very version it was built for. */
  version: string
  /** DuckDB's name of the platform. */
  platform: string
  /** Where the files may be put together; empty. */
  scratch: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal | undefined
}

/**
 * One call of pip for all of them.
 * @param names DuckDB's own, no aliases.
 * @returns for each name its file, below `scratch`.
 * @throws MillraceError EXTENSION without Python or pip, for a platform or an extension that has no package, when the index
 * cannot be reached; the signal's reason.
 */
export async function downloadPackages(
  names: readonly string[],
  { version, platform, scratch, env, signal }: DownloadOptions,
): Promise<Map<string, string>> {
  const tags = platformTags(platform)
  const python = findPython(env)
  const wheels = join(scratch, 'wheels')
  const packages = names.map((name) => `duckdb-extension-${name.replaceAll('_', '-')}==${version.replace(/^v/, '')}`)
  // Only the log says that an index could not be asked; what is printed is that there is no such package.
  const log = join(scratch, 'pip.log')
  const download = ['-m', 'pip', 'download', '--quiet', '--log', log, '--no-input', '--no-deps', '--only-binary=:all:']
  const target = tags.flatMap((tag) => ['--platform', tag])
  const pip = await run(python, [...download, ...target, '--dest', wheels, ...packages], { env, signal })
  if (pip.code !== 0) {
    const logged = await readFile(log, 'utf8').catch(() => '')
    throw pipFailed(pip.output, { logged, python, platform })
  }
  for (const wheel of await readdir(wheels)) {
    const unpack = await run(python, ['-m', 'zipfile', '-e', join(wheels, wheel), scratch], { env, signal })
    if (unpack.code !== 0)
      throw new MillraceError('EXTENSION', `${wheel} cannot be unpacked: ${lastLine(unpack.output)}`)
  }
  return findFiles(scratch, names, { version, platform })
}

/**
 * What wheels call DuckDB's platforms. Given to pip even for this machine: the Python that runs it may be built for
 * another processor than this process.
 */
const PLATFORM_TAGS: Record<string, readonly string[]> = {
  linux_amd64: ['manylinux_2_28_x86_64', 'manylinux2014_x86_64'],
  linux_arm64: ['manylinux_2_28_aarch64', 'manylinux2014_aarch64'],
  osx_amd64: ['macosx_11_0_x86_64'],
  osx_arm64: ['macosx_11_0_arm64'],
  windows_amd64: ['win_amd64'],
}

const LIMIT_MS = 10 * 60_000

function platformTags(platform: string): readonly string[] {
  const tags = PLATFORM_TAGS[platform]
  if (tags !== undefined) return tags
  const known = Object.keys(PLATFORM_TAGS)
  const near = nearest(platform, known)
  throw new MillraceError(
    'EXTENSION',
    `expected one of the platforms with packages, ${known.join(', ')}; got '${platform}'`,
    near === null ? {} : { hint: `Did you mean '${near}'?` },
  )
}

function findPython(env: NodeJS.ProcessEnv): string {
  const python = findProgram('python3', env) ?? findProgram('python', env)
  if (python !== null) return python
  throw new MillraceError('EXTENSION', 'extensions are fetched with pip, and there is no python3 on PATH', {
    hint: 'Install Python 3 with pip; or run this on another machine, with --platform, and copy the folder.',
  })
}

/** Never rejects but with the signal's reason. @returns the exit code, and the end of all that was printed. */
async function run(
  program: string,
  args: readonly string[],
  { env, signal }: { env: NodeJS.ProcessEnv; signal: AbortSignal | undefined },
): Promise<{ code: number | null; output: string }> {
  // Nothing is installed: those who forbid pip to install outside a virtual environment mean something else.
  const child = spawn(program, args, {
    env: { ...env, PIP_REQUIRE_VIRTUALENV: 'false', PIP_DISABLE_PIP_VERSION_CHECK: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    signal,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-8_000)))
  }
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      output += error.message
      resolve(null)
    })
    child.once('close', resolve)
  })
  signal?.throwIfAborted()
  return { code, output }
}

function pipFailed(
  output: string,
  { logged, python, platform }: { logged: string; python: string; platform: string },
): MillraceError {
  if (/No module named pip/i.test(output)) {
    return new MillraceError('EXTENSION', `extensions are fetched with pip, and ${python} has none`, {
      hint: `Install it: ${python} -m ensurepip, or the system's package python3-pip.`,
    })
  }
  // An index without the package answers 404.
  const [, url, reason] = /Could not fetch URL (\S+): (?!404 )(.*) - skipping/.exec(logged) ?? []
  if (url !== undefined && reason !== undefined) {
    return new MillraceError('EXTENSION', `the Python package index cannot be asked: ${url}: ${shorten(reason)}`, {
      hint: 'Check the network, or name an index that this machine reaches in PIP_INDEX_URL.',
    })
  }
  const missing = /No matching distribution found for (\S+)/.exec(output)?.[1]
  if (missing !== undefined) {
    return new MillraceError('EXTENSION', `the Python package index has no ${missing} for ${platform}`, {
      hint: 'Leave it out, or let DuckDB install it where its own repository can be reached.',
    })
  }
  return new MillraceError('EXTENSION', `pip download failed: ${lastLine(output)}`)
}

/** Without Python's objects and the address, which is said already. */
function shorten(reason: string): string {
  return reason
    .replace(/^.*Caused by /, '')
    .replace(/ for url: .*$/, '')
    .replace(/^.* object at 0x[0-9a-f]+>: /, '')
    .replace(/['")]+$/, '')
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) || 'no reason given'
}

async function findFiles(
  folder: string,
  names: readonly string[],
  { version, platform }: { version: string; platform: string },
): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true })
  const files = new Map<string, string>()
  for (const name of names) {
    const entry = entries.find((entry) => entry.split(/[\\/]/).at(-1) === `${name}.duckdb_extension`)
    if (entry === undefined) {
      throw new MillraceError(
        'EXTENSION',
        `the package of '${name}' holds no file for DuckDB ${version} on ${platform}`,
      )
    }
    files.set(name, join(folder, entry))
  }
  return files
}
