// SPDX-License-Identifier: Apache-2.0
// Parses files and prints them as JSON.
#include <cstdio>
#include <cstring>
#include "common/file.h"
#include "ingest/parse.h"
#include "services/parse/dump.h"
using namespace cloister;
int main(int argc,char**argv){
  ingest::WarmUpParsers();
  for(int i=1;i<argc;++i){ if(!strcmp(argv[i],"--dump"))continue;
   auto b=ReadFile(argv[i],32<<20); if(!b.ok()) {fprintf(stderr,"read\n");return 1;}
   auto t=ingest::DetectMediaType(argv[i],*b);
   auto r=ingest::ParseBytes(t,*b,{});
   if(r.refused){fprintf(stderr,"%s: refused %d\n",argv[i],(int)r.refusal);continue;}
   auto rt=ingest::DecodeParseResult(ingest::EncodeParseResult(r)); if(!rt.ok()||!(rt->document==r.document)) fprintf(stderr,"%s: CODEC\n",argv[i]);
   puts(services::DumpJson(argv[i],ingest::MediaTypeName(t),r.document,{}).c_str());
  }
}
