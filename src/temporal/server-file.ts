/** `.millrace/server.json`: how a second terminal finds the embedded server that a project has running. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'

const schema = z.object({
  /** gRPC, `host:port`. */
  address: z.string(),
  uiUrl: z.string(),
  /** The identity of the server's data file: tells this project's server from a stranger on the same port. */
  clusterId: z.string(),
  /** The server's process. */
  pid: z.int().positive(),
  /** The process whose end ends the server. */
  ownerPid: z.int().positive(),
  /** ISO 8601, UTC. */
  startedAt: z.string(),
  /** True from the moment the server is told to end until it has: it still answers, but not for long. */
  stopping: z.boolean(),
})

export type ServerFile = z.infer<typeof schema>

/** The folder of everything Millrace keeps for a project: `<project>/.millrace`. */
export function millraceFolder(projectRoot: string): string {
  return join(projectRoot, '.millrace')
}

export function serverFilePath(projectRoot: string): string {
  return join(millraceFolder(projectRoot), 'server.json')
}

/** Null when there is none, or when it is not one of ours. */
export async function readServerFile(projectRoot: string): Promise<ServerFile | null> {
  try {
    return schema.parse(JSON.parse(await readFile(serverFilePath(projectRoot), 'utf8')))
  } catch {
    return null
  }
}

/** Replaces the file in one step: a reader sees the old one or the new one, never a part. */
export async function writeServerFile(projectRoot: string, content: ServerFile): Promise<void> {
  const path = serverFilePath(projectRoot)
  const temporary = `${path}.${process.pid}`
  await mkdir(dirname(path), { recursive: true })
  await writeFile(temporary, `${JSON.stringify(content, null, 2)}\n`)
  await rename(temporary, path)
}

/** Removes the file if it still speaks of the server process `pid`. */
export async function removeServerFile(projectRoot: string, pid: number): Promise<void> {
  if ((await readServerFile(projectRoot))?.pid === pid) await rm(serverFilePath(projectRoot), { force: true })
}
