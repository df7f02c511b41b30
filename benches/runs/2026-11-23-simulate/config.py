import sys,random
distinct=int(sys.argv[1]); wips=int(sys.argv[2])
countries=["DE","US","JP","BR","ZA","AU","SG","GB","IN","CA"]
print('[zone."gslb.example.com"]\nnameservers=["ns1.example.com"]\nhostmaster="h@example.com"\n[health_check.c]\ntype="tcp"\nport=443')
for i,c in enumerate(countries):
    print(f'[datacenter.dc{i}]\nvip=["203.0.{i}.10","2001:db8:{i}::10"]\nlocation={{country="{c}"}}')
random.seed(1)
pol=["geo","geo","geo","failover","round-robin","weighted","hash"]
sets=[]
for d in range(distinct):
    if distinct==1:
        sets.append('members=["dc0","dc1","dc2","dc3"]\npolicy="geo"\nhealth_check="c"'); continue
    k=random.randint(2,6); m=random.sample(range(10),k)
    mm=",".join(f'"dc{x}"' for x in m)
    sets.append(f'members=[{mm}]\npolicy="{random.choice(pol)}"\nhealth_check="c"\nttl="{20+d%40}s"')
for w in range(wips):
    print(f'[wip."w{w}.gslb.example.com"]\n{sets[w%distinct]}')
