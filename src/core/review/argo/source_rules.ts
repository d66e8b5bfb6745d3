// ARGO-14, 15, 20: where the manifests come from, as far as a review of files can follow.
import { listed, quoted } from '#core/module/printable.ts'
import type { ArgoRule } from './argo_context.ts'

export const makesElsewhere: ArgoRule = ({ application }) =>
  application.sources.flatMap(({ madeBy, path }) =>
    madeBy === ''
      ? []
      : [
          {
            rule: 'ARGO-14' as const,
            severity: 'notice' as const,
            path: `${path}.${madeBy}`,
            message: `this source is made by ${madeBy === 'plugin' ? 'a plugin' : 'Helm'}, which is not run here: Modules in it are not reviewed`,
            wayOut: 'render it in the job and review what comes out: sallyport review OLD NEW',
          },
        ],
  )

export const changesObjects: ArgoRule = ({ application }) =>
  application.sources.flatMap(({ changedBy, path }) => {
    const [first] = changedBy
    if (first === undefined) return []
    return [
      {
        rule: 'ARGO-20' as const,
        severity: 'warn' as const,
        path: `${path}.kustomize[${JSON.stringify(first)}]`,
        message: `kustomize with ${listed(changedBy.map(quoted), 3)} changes objects on their way into the cluster (a patch can give a version another tag): the files are reviewed without it`,
        wayOut: 'write it into the kustomization.yaml of the folder, which is rendered and reviewed',
      },
    ]
  })

export const writtenByTemplate: ArgoRule = ({ application }) => {
  const { object } = application
  if (object.resource !== 'applicationsets') return []
  const spec = object.data['spec']
  if (typeof spec !== 'object' || spec === null || !('templatePatch' in spec)) return []
  return [
    {
      rule: 'ARGO-15',
      severity: 'notice',
      path: 'spec.templatePatch',
      message: `what templatePatch makes of ${quoted(object.name)} is known when it is rendered, and not judged here`,
      wayOut: 'keep syncPolicy out of templatePatch',
    },
  ]
}
