/** All that a worker's activities need: DuckDB, the projects, the registry. Loaded while the worker is being made. */
import { createActivities, type MillraceActivities } from '../activities/index.ts'
import { WorkerProjects, type WorkerProjectsOptions } from '../activities/worker-projects.ts'
import { connectionRegistry, type ConnectionRegistry } from '../connections/registry.ts'

export interface Work {
  activities: MillraceActivities
  registry: ConnectionRegistry
  close(): Promise<void>
}

export function createWork(folders: readonly string[], options: Omit<WorkerProjectsOptions, 'registry'>): Work {
  const registry = connectionRegistry()
  const projects = new WorkerProjects(folders, { ...options, registry })
  return { activities: createActivities(projects), registry, close: () => projects.close() }
}
