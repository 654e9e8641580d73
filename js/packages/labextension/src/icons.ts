/** The extension's icons, drawn so that they follow JupyterLab's theme. */
import { LabIcon } from '@jupyterlab/ui-components';
import lessonSvg from '../style/icons/lesson.svg';
import pruneSvg from '../style/icons/prune.svg';

export const pruneIcon = new LabIcon({ name: 'paoding:prune', svgstr: pruneSvg });
export const lessonIcon = new LabIcon({ name: 'paoding:lesson', svgstr: lessonSvg });
