/** What on a command line is a PROJECT: a folder with a config file. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const CONFIG_FILES = ['config.yaml', 'config.yml', 'sqlmesh.yaml', 'sqlmesh.yml', 'config.py']

export function isProject(folder: string): boolean {
  return CONFIG_FILES.some((file) => existsSync(join(folder, file)))
}
