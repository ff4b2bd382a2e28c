/** A project whose model runs until the test lets it end. */
import type { WorkflowHandle } from '@temporalio/client'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { BuildSummary } from '../../src/payloads.ts'
import { openProject, type BuiltProject } from './built-project.ts'
import { createProject } from './project.ts'
import { until } from './slow-build.ts'
import { startBuild, type TestServer } from './worker.ts'

export interface GatedProject extends BuiltProject {
  /** Starts a build and resolves when its model runs. */
  hold(workflowId: string): Promise<WorkflowHandle<() => Promise<BuildSummary>>>
  /** What runs goes on. */
  openGate(): void
}

/** `s.gate`, which reads a pipe; and these files. The gate is open after the test. */
export async function openGatedProject(server: TestServer, files: Record<string, string> = {}): Promise<GatedProject> {
  const root = await createProject({
    'models/gate.sql': `MODEL (name s.gate, kind FULL);\nSELECT content FROM read_text('gate')`,
    ...files,
  })
  const pipe = join(root, 'gate')
  execFileSync('mkfifo', [pipe])
  const project = await openProject(server, root)
  let gate: number | null = null

  function openGate(): void {
    if (gate === null) return
    writeSync(gate, 'open')
    closeSync(gate)
    gate = null
  }
  // Before the worker stops, which waits for what runs.
  onTestFinished(openGate)

  return {
    ...project,
    openGate,
    async hold(workflowId) {
      const build = await startBuild(server, {}, workflowId)
      gate = await until('a model that reads the gate', () => openToWrite(pipe))
      return build
    },
  }
}

/** Null while nobody reads. */
function openToWrite(pipe: string): number | null {
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return null
    throw error
  }
}
