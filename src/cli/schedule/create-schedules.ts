/** `schedule create`: from options one schedule, from a file several. */
import { readFile } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { assertPlannable } from '../../activities/plan/plan-scope.ts'
import { MillraceError, ProjectError } from '../../errors.ts'
import { loadProject } from '../../project/load.ts'
import type { Project } from '../../project/project.ts'
import { createSqlParser } from '../../project/sql-parser.ts'
import type { CommandContext } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { applySchedule, type Applied } from './apply.ts'
import { defineSchedule } from './define.ts'
import { idPrefix, nameOf, type ScheduleDefinition, type ScheduleSettings } from './definition.ts'
import { projectSchedules } from './find-schedule.ts'
import { settingsFromOptions } from './from-options.ts'
import { appliedText } from './schedule-text.ts'
import { parseSchedulesFile, type SchedulesFile } from './schedules-file.ts'
import { withScheduleServer } from './session.ts'

export async function createSchedules(context: CommandContext, name: string | null): Promise<ExitCode> {
  const { options, output } = context
  // Before a server is looked for: what is wrong with what is asked for is said at once.
  const { definitions, prunes } =
    options.file === null ? await fromOptions(context, name) : await fromFile(context, options.file, name)
  return withScheduleServer(context, async ({ client, project }) => {
    const applied: Applied[] = []
    for (const definition of definitions) {
      applied.push(await applySchedule(client, definition, { dryRun: options.dryRun }))
    }
    const kept = new Set(definitions.map(({ id }) => id))
    // Those with ids of others are theirs.
    const others =
      options.file === null
        ? []
        : (await projectSchedules(client, project)).filter((id) => !kept.has(id) && id.startsWith(idPrefix(project)))
    for (const id of others) {
      if (prunes && !options.dryRun) await client.schedule.getHandle(id).delete()
      applied.push({ id, action: prunes ? 'deleted' : 'not in the file', changes: [] })
    }
    output.answer(
      appliedText(applied, (id) => nameOf(id, project), options.dryRun),
      {
        dryRun: options.dryRun,
        schedules: applied.map(({ id, action, changes }) => ({ name: nameOf(id, project), id, action, changes })),
      },
    )
    return EXIT.done
  })
}

interface Wanted {
  definitions: ScheduleDefinition[]
  /** Schedules that are not among them are to be deleted. */
  prunes: boolean
}

async function fromOptions(context: CommandContext, name: string | null): Promise<Wanted> {
  if (context.options.prune) throw new MillraceError('USAGE', '--prune: expected --file beside it')
  const settings = settingsFromOptions(context, name)
  await using projects = new ProjectVariants(context)
  return { definitions: [await define(projects, settings)], prunes: false }
}

async function fromFile(context: CommandContext, path: string, name: string | null): Promise<Wanted> {
  const { options } = context
  if (name !== null || options.auto || options.every !== null || options.cron.length > 0) {
    throw new MillraceError('USAGE', '--file: expected no name and no --cron, --every or --auto beside it', {
      hint: 'the file says all of it',
    })
  }
  const filed = await readSchedulesFile(path)
  await using projects = new ProjectVariants(context)
  const definitions: ScheduleDefinition[] = []
  const problems: MillraceError[] = []
  for (const { settings, line } of filed.schedules) {
    try {
      // A queue that the command names is where this deployment's workers are.
      definitions.push(await define(projects, { ...settings, taskQueue: options.taskQueue ?? settings.taskQueue }))
    } catch (error) {
      // A broken project is no matter of the file's.
      if (!(error instanceof MillraceError) || error instanceof ProjectError) throw error
      const hint = error.hint === null ? {} : { hint: error.hint }
      problems.push(
        new MillraceError(error.code, `${settings.name}: ${error.message}`, { file: filed.file, line, ...hint }),
      )
    }
  }
  if (problems.length > 0) throw new ProjectError(problems)
  return { definitions, prunes: options.prune }
}

async function readSchedulesFile(path: string): Promise<SchedulesFile> {
  const file = relative(process.cwd(), resolve(path))
  let text
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new MillraceError('USAGE', `--file: expected a file of schedules; '${path}' cannot be read`, { cause })
  }
  return parseSchedulesFile(text, file.startsWith('..') ? path : file)
}

async function define(projects: ProjectVariants, settings: ScheduleSettings): Promise<ScheduleDefinition> {
  const project = await projects.load(settings)
  const { input } = settings
  // What its builds would be refused for is refused now, not at night.
  assertPlannable(project, { ...input, environment: input.environment ?? 'prod', executionMs: Date.now() })
  return defineSchedule(settings, project)
}

/** A project as loaded with different gateways and variables, each once. */
class ProjectVariants implements AsyncDisposable {
  readonly #context: CommandContext
  readonly #parser = createSqlParser()
  readonly #loaded = new Map<string, Promise<Project>>()

  constructor(context: CommandContext) {
    this.#context = context
  }

  async load({ input: { gateway, vars = {} } }: ScheduleSettings): Promise<Project> {
    const key = JSON.stringify([gateway ?? null, Object.entries(vars)])
    const { root, env, output } = this.#context
    let loading = this.#loaded.get(key)
    if (loading === undefined) {
      loading = loadProject(root, { ...(gateway === undefined ? {} : { gateway }), vars, env, parser: this.#parser })
      this.#loaded.set(key, loading)
    }
    const project = await loading
    for (const notice of project.notices) output.notice(notice)
    return project
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parser.close()
  }
}
