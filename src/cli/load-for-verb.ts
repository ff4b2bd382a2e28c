/** The project a verb works on, and which of its models it was asked about. */
import { createModelGraph, type ModelGraph } from '../graph/model-graph.ts'
import { selectModels } from '../graph/select.ts'
import { loadProject } from '../project/load.ts'
import type { Model } from '../project/model.ts'
import type { Project } from '../project/project.ts'
import { createSqlParser, type SqlParser } from '../project/sql-parser.ts'
import type { CommandContext } from './command.ts'

export interface LoadedProject extends AsyncDisposable {
  project: Project
  /** Closed when this is disposed of. */
  parser: SqlParser
}

/**
 * Loads the project with `--gateway` and `--var`, and passes its notices on.
 * @throws ProjectError or MillraceError naming every problem of the project.
 */
export async function loadForVerb({ root, options, env, output }: CommandContext): Promise<LoadedProject> {
  const parser = createSqlParser()
  try {
    const gateway = options.gateway === null ? {} : { gateway: options.gateway }
    const project = await loadProject(root, { ...gateway, vars: options.vars, env, parser })
    for (const notice of project.notices) output.notice(notice)
    return { project, parser, [Symbol.asyncDispose]: () => parser.close() }
  } catch (error) {
    await parser.close()
    throw error
  }
}

/**
 * The enabled models that `--select` and `--exclude` leave, as a graph of their own: who reads whom among them.
 * @throws MillraceError SELECTION
 */
export function selectedGraph(project: Project, { select, exclude }: CommandContext['options']): ModelGraph<Model> {
  const graph = createModelGraph(project.models.filter((model) => model.enabled))
  if (select === null && exclude === null) return graph
  return createModelGraph([...selectModels(graph, { select, exclude })].map((name) => graph.get(name)))
}
