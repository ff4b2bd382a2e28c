/** `init [DIR]`: a new project that builds at once. Never overwrites. */
import { lstatSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { MillraceError } from '../../errors.ts'
import type { Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { newProjectFiles } from '../template/new-project.ts'

export const initVerb: Verb = {
  async run({ root, args, options, output }) {
    const folder = args[0] === undefined ? root : resolve(args[0])
    const project = basename(folder) || 'warehouse'
    const files = newProjectFiles(project)
    assertNothingThere(folder, [...files.keys()])
    await writeAll(folder, files)
    const shown = args[0] ?? options.project ?? '.'
    const list = [...files.keys()].map((file) => `  ${file}`).join('\n')
    const argument = shown === '.' ? '' : ` ${shown}`
    output.answer(
      `Made the project '${project}' in ${shown}:\n${list}\nNext: \`graph${argument}\` shows it, \`build${argument}\` builds it.`,
      { project, folder, files: [...files.keys()] },
    )
    return EXIT.done
  },
}

/** With one of these beside ours, the folder would have two configurations. */
const CONFIG_FILES = ['config.yml', 'sqlmesh.yaml', 'sqlmesh.yml', 'config.py']

/** @throws MillraceError USAGE listing every file that is there already. */
function assertNothingThere(folder: string, files: readonly string[]): void {
  const there = [...files, ...CONFIG_FILES].filter((file) => exists(join(folder, file)))
  if (there.length === 0) return
  throw new MillraceError('USAGE', `expected no files of a project in ${folder}; there are ${there.join(', ')}`, {
    hint: 'Name another folder, or move them away; nothing was written.',
  })
}

/** Links that lead nowhere count: writing would follow them. */
function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    // A file stands where one of its folders should be; making the folder says so.
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR') return false
    throw error
  }
}

/** All files or none. */
async function writeAll(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const written: string[] = []
  try {
    for (const [file, content] of files) {
      const path = join(folder, file)
      await mkdir(dirname(path), { recursive: true })
      // `wx`: a file that someone made since the check is theirs.
      await writeFile(path, content, { flag: 'wx' })
      written.push(path)
    }
  } catch (error) {
    await Promise.all(written.map((path) => rm(path, { force: true })))
    const reason = error instanceof Error ? error.message : String(error)
    throw new MillraceError('FILE', `the project cannot be written into ${folder}: ${reason}`, {
      hint: 'Name a folder that can be written to; nothing was kept.',
      cause: error,
    })
  }
}
