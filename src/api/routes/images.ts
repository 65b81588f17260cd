/** Routes about images, on all hosts or on one. */
import {
  addImageQuerySchema,
  imageListSchema,
  imageOnHostsSchema,
  imageParamsSchema,
} from '../../wire/images.js';
import { EXAMPLE_HOST, EXAMPLE_IMAGE, EXAMPLE_IMAGE_ADDED } from '../examples.js';
import {
  addImage,
  addImageToHost,
  listImages,
  removeImage,
  removeImageFromHost,
} from '../images.js';
import { OPERATORS, READERS } from '../principal.js';
import { route, type Route } from '../route.js';
import { CATALOGUE_ERRORS } from './common-answers.js';
import { hostParams } from './hosts.js';

/** Far above what clouds publish. */
const IMAGE_BYTES_MAX = 64 * 1024 ** 3;

const hostImageParams = hostParams.extend(imageParamsSchema.shape);

const UPLOAD_ERRORS = ['body_too_large', 'unsupported_media_type', ...CATALOGUE_ERRORS] as const;

const name = EXAMPLE_IMAGE.name;
const done = { status: 200, answer: EXAMPLE_IMAGE_ADDED };
const onHosts = {
  200: { description: 'What became of it on each host', schema: imageOnHostsSchema },
};

export const IMAGE_ROUTES: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/images',
    name: 'listImages',
    summary: 'List images, and which host has which; the hosts are asked',
    tag: 'Images',
    access: READERS,
    answers: { 200: { description: 'All images', schema: imageListSchema } },
    errors: CATALOGUE_ERRORS,
    example: { status: 200, answer: { items: [EXAMPLE_IMAGE], unanswered: [] } },
    handle: listImages,
  }),
  route({
    method: 'put',
    path: '/v1/images/:name',
    name: 'addImage',
    summary: 'Bring an image to every host that is up; the body is the file',
    tag: 'Images',
    access: OPERATORS,
    params: imageParamsSchema,
    query: addImageQuerySchema,
    upload: { bytesMax: IMAGE_BYTES_MAX },
    answers: onHosts,
    errors: UPLOAD_ERRORS,
    example: { params: { name }, query: { format: 'qcow2' }, file: 'QFI…', ...done },
    handle: addImage,
  }),
  route({
    method: 'delete',
    path: '/v1/images/:name',
    name: 'removeImage',
    summary: 'Take an image from every host that is up; one that VMs are made from stays',
    tag: 'Images',
    access: OPERATORS,
    params: imageParamsSchema,
    answers: onHosts,
    errors: CATALOGUE_ERRORS,
    example: { params: { name }, ...done },
    handle: removeImage,
  }),
  route({
    method: 'put',
    path: '/v1/hosts/:host/images/:name',
    name: 'addImageToHost',
    summary: 'Bring an image to one host; the body is the file',
    tag: 'Images',
    access: OPERATORS,
    params: hostImageParams,
    query: addImageQuerySchema,
    upload: { bytesMax: IMAGE_BYTES_MAX },
    answers: onHosts,
    errors: ['not_found', ...UPLOAD_ERRORS],
    example: {
      params: { host: EXAMPLE_HOST.name, name },
      query: { format: 'qcow2' },
      file: 'QFI…',
      ...done,
    },
    handle: addImageToHost,
  }),
  route({
    method: 'delete',
    path: '/v1/hosts/:host/images/:name',
    name: 'removeImageFromHost',
    summary: 'Take an image from one host',
    tag: 'Images',
    access: OPERATORS,
    params: hostImageParams,
    answers: onHosts,
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: { params: { host: EXAMPLE_HOST.name, name }, ...done },
    handle: removeImageFromHost,
  }),
];
