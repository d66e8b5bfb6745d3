// ARGO-22: what Argo CD writes to the Namespace itself, where it may create it.
import { listed, quoted } from '#core/module/printable.ts'
import type { ArgoRule } from './argo_context.ts'

/** By these labels WH-M15 and selectors of our configuration go. */
const OURS = 'sallyport.dev/'

export const marksNamespace: ArgoRule = ({ application }) => {
  const { namespaceMetadata, prefix } = application
  if (namespaceMetadata.length === 0) return []
  const rule = 'ARGO-22'
  const path = `${prefix}spec.syncPolicy.managedNamespaceMetadata`
  const ours = namespaceMetadata.filter((key) => key.startsWith(OURS))
  if (ours.length > 0) {
    const message = `with CreateNamespace=true each sync writes ${listed(ours.map(quoted), 3)} to the namespace, by which it is decided whether its Modules are looked at; where it holds published versions, WH-M15 denies a label that changes, and the sync fails`
    const wayOut = `take what begins with ${OURS} out; whoever runs the cluster writes it`
    return [{ rule, severity: 'warn', path, message, wayOut }]
  }
  const message = `with CreateNamespace=true each sync writes ${listed(namespaceMetadata.map(quoted), 3)} to the namespace; its Modules stay as they are`
  return [{ rule, severity: 'notice', path, message, wayOut: '' }]
}
