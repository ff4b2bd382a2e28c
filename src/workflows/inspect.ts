/** Short workflows by which a client reads what only the worker that holds the database can read. */
import { proxyActivities } from '@temporalio/workflow'
import type { MillraceActivities } from '../activities/index.ts'
import type { AuditInput, AuditPage } from '../activities/audit-models.ts'
import type { ReadBuildInput, ReportPage } from '../activities/report/read-build.ts'
import type { PreviewInput, PreviewPage } from '../activities/plan/preview-plan.ts'
import type { EvaluateInput, EvaluatedRows } from '../payloads.ts'
import { AUDIT_OPTIONS, READ_OPTIONS } from './activity-options.ts'

const { readBuildPage, previewPlan, evaluateModel } = proxyActivities<MillraceActivities>(READ_OPTIONS)
const { auditModels } = proxyActivities<MillraceActivities>(AUDIT_OPTIONS)

/** One page of a build's report; null when the state knows no such build. */
export async function readBuildReport(input: ReadBuildInput): Promise<ReportPage | null> {
  return readBuildPage.executeWithOptions({ summary: 'read a report' }, [input])
}

/** One page of what a build would do now. */
export async function planPreview(input: PreviewInput): Promise<PreviewPage> {
  return previewPlan.executeWithOptions({ summary: 'preview a plan' }, [input])
}

/** Some of the audits of what an environment has now. */
export async function auditEnvironment(input: AuditInput): Promise<AuditPage> {
  return auditModels.executeWithOptions({ summary: 'run audits' }, [input])
}

/** The rows a model's query would give now. */
export async function evaluate(input: EvaluateInput): Promise<EvaluatedRows> {
  return evaluateModel.executeWithOptions({ summary: `evaluate ${input.model}` }, [input])
}
