/** A build's search attributes: what lists of builds are filtered by. */
import { defineSearchAttributeKey } from '@temporalio/common'
import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow'
import type { BuildSummary } from '../payloads.ts'
import { SEARCH_ATTRIBUTES } from '../search-attributes.ts'

const PROJECT = defineSearchAttributeKey(SEARCH_ATTRIBUTES.project.name, SEARCH_ATTRIBUTES.project.type)
const ENVIRONMENT = defineSearchAttributeKey(SEARCH_ATTRIBUTES.environment.name, SEARCH_ATTRIBUTES.environment.type)
const STATUS = defineSearchAttributeKey(SEARCH_ATTRIBUTES.status.name, SEARCH_ATTRIBUTES.status.type)
const MODELS_FAILED = defineSearchAttributeKey(SEARCH_ATTRIBUTES.modelsFailed.name, SEARCH_ATTRIBUTES.modelsFailed.type)

/**
 * One event. All of them, each time: they may have been registered in mid-build.
 * @param result of the activity that has just seen whether the server knows them: an unknown one would stop the workflow for good.
 */
export function noteSearchAttributes(
  result: object | null,
  { project, environment, status, counts }: BuildSummary,
): void {
  if (result === null || !('searchAttributes' in result) || result.searchAttributes !== true) return
  upsertSearchAttributes([
    { key: PROJECT, value: project },
    { key: ENVIRONMENT, value: environment },
    { key: STATUS, value: status },
    { key: MODELS_FAILED, value: counts.error },
  ])
}

/** The server has them from this build: its like can be listed. */
export function isSearchable(): boolean {
  return workflowInfo().typedSearchAttributes.get(PROJECT) !== undefined
}
